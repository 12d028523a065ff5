"""A recipe from a stranger names registered things, or nothing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from toys import TOY_RECIPE, ToyPlugin

from umbel.config.load import load_recipe
from umbel.contract.errors import ConfigError, UmbelError
from umbel.registry.plugins import Plugin, Plugins


@pytest.fixture
def plugins() -> Plugins:
    found = Plugins()
    found.register(ToyPlugin(), Plugin("toys", "1", "toys"))
    return found


def load(text: str, folder: Path, plugins: Plugins, *overrides: str) -> None:
    path = folder / "hostile.yaml"
    path.write_text(text)
    load_recipe(str(path), overrides, plugins)


def test_toy_recipe_itself_loads(tmp_path: Path, plugins: Plugins) -> None:
    load(TOY_RECIPE, tmp_path, plugins)


HOSTILE = {
    "tag_apply": "x: !!python/object/apply:os.system ['touch {marker}']",
    "tag_new": "x: !!python/object/new:os.system ['touch {marker}']",
    "tag_name": "x: !!python/name:os.system ''",
    "own_tag": "x: !exec 'touch {marker}'",
    "target": "train: {{_target_: os.system, command: 'touch {marker}'}}",
    "target_deep": "tasks: {{a: {{kind: bright, options: {{x: [{{_target_: os.system}}]}}}}}}",
    "eval": "x: ${{eval:'__import__(\"os\").system(\"touch {marker}\")'}}",
    "create": "x: ${{oc.create:'{{a: 1}}'}}",
    "decode": "x: ${{oc.decode:'1'}}",
    "nested": "x: ${{oc.env:HOME,${{eval:1}}}}",
    "computed_resolver": "y: eval\nx: ${{${{y}}:1}}",
    "kind_path": "tasks: {{a: {{kind: os.system, input_size: [16, 16]}}}}",
    "kind_module": "tasks: {{a: {{kind: 'toys:BrightTask', input_size: [16, 16]}}}}",
    "kind_slash": "tasks: {{a: {{kind: '../../toys/bright', input_size: [16, 16]}}}}",
    "backbone_path": "tasks: {{a: {{kind: bright, input_size: [16, 16]}}}}\nbackbone: {{name: torch.hub}}",
    "nest_flow": "x: " + "[" * 5000,
    "nest_map": "x: " + "{{a: " * 3000,
    "alias_bomb": "a: &a [1,1,1,1,1,1,1,1,1]\n" + "\n".join(
        f"{chr(98 + k)}: &{chr(98 + k)} [{','.join([f'*{chr(97 + k)}'] * 9)}]" for k in range(9)
    ),
    "repeated_key": "train: {{seed: 1}}\ntrain: {{seed: 2}}",
    "boolean": "train: {{seed: no}}",
    "boolean_key": "tasks: {{a: {{kind: bright, options: {{class_map: {{no: x}}}}}}}}",
    "octal": "train: {{seed: 010}}",
    "base_60": "train: {{seed: 12:30:45}}",
    "no_mapping": "- a\n- b",
    "binary": "\x00\x01",
    "self": "defaults: hostile.yaml",
    "parent_that_is_a_device": "defaults: /dev/zero",
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_recipe_is_refused(name: str, tmp_path: Path, plugins: Plugins) -> None:
    marker = tmp_path / "marker"
    imported = set(sys.modules)
    with pytest.raises(UmbelError):
        load(HOSTILE[name].format(marker=marker), tmp_path, plugins)
    assert not marker.exists()
    assert not {module for module in set(sys.modules) - imported if module.split(".")[0] in ("antigravity", "this")}


def test_override_cannot_either(tmp_path: Path, plugins: Plugins) -> None:
    for override in ("train._target_=os.system", "train.seed=${eval:1}", "tasks.first.kind=os.system"):
        with pytest.raises(UmbelError):
            load(TOY_RECIPE, tmp_path, plugins, override)


def test_large_recipe_is_refused(tmp_path: Path, plugins: Plugins) -> None:
    with pytest.raises(ConfigError, match="larger than"):
        load("x: 1\n" + "# pad\n" * 200_000, tmp_path, plugins)


def test_surprises_name_line_and_remedy(tmp_path: Path, plugins: Plugins) -> None:
    with pytest.raises(ConfigError) as caught:
        load("train:\n  seed: 1\n  channels_last: no\n", tmp_path, plugins)
    assert "hostile.yaml:3: no is read as a boolean" in str(caught.value)
    assert "write true or false" in caught.value.hint
