"""What looks like an interpolation in a name out of data is part of the name, through every tree and file."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from umbel import literal
from umbel.config.literals import literal_before_interpolation
from umbel.config.yaml_rules import check_tree, check_yaml
from umbel.contract.dataset_report import DetectedDataset
from umbel.contract.errors import ConfigError
from umbel.workflows.init.detect import Start
from umbel.workflows.init.recipe_text import recipe_text

pieces = st.sampled_from(
    ["${", "$", "{", "}", "\\", "'", '"', ":", ".", ",", "oc.env", "HOME", " ", "\n", "#", "[", "?"]
)
texts = st.one_of(st.lists(pieces, max_size=8).map("".join), st.text(max_size=12)).filter(lambda text: text != "???")
keys = st.text(string.ascii_letters + "${}\\.: ", min_size=1, max_size=8).filter(lambda key: key not in ("???",))
trees = st.recursive(
    texts | st.integers(-(2**31), 2**31) | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=8,
)


@given(trees)
def test_every_value_comes_back_from_a_saved_tree(value: Any) -> None:
    tree = OmegaConf.create({"value": literal(value)})
    text = OmegaConf.to_yaml(tree, resolve=False)
    check_yaml(text, "recipe")  # what a run has written can be read again
    again = OmegaConf.create(text)
    check_tree(again, "recipe")
    assert OmegaConf.to_container(again, resolve=True, throw_on_missing=True) == {"value": value}


@given(texts, texts)
def test_text_before_an_interpolation_keeps_its_backslashes(before: str, after: str) -> None:
    tree = OmegaConf.create({"a": "middle", "b": f"{literal_before_interpolation(before)}${{a}}{literal(after)}"})
    assert tree.b == f"{before}middle{after}"


@given(texts)
def test_init_writes_it_as_it_is(name: str) -> None:
    options = {"root": name, "train": f"{name}/x"}
    found = DetectedDataset("folders", 64, 2, 1.0, options)
    start = Start("road", "segmentation", found, {"train": 2, "val": 2}, (name,), (64, 64), (64, 64))
    tree: Any = OmegaConf.create(recipe_text([start], name or "m", name or None, 3))
    assert OmegaConf.to_container(tree.tasks.road.options, resolve=True) == options


def test_what_no_recipe_can_hold_is_named() -> None:
    with pytest.raises(ConfigError, match=r"'\?\?\?' cannot stand in a recipe.*class_map"):
        literal({"names": ["car", "???"]})


def test_numbers_and_keys_stay() -> None:
    assert literal({"${a}": (1, 2.5, None, True)}) == {"${a}": [1, 2.5, None, True]}


def test_description_of_yolo_names_is_literal(tmp_path: Path) -> None:
    from umbel.tasks.detection.formats.yolo_yaml import read_data_yaml

    names = ["${oc.env:HOME}", "price ${list", r"\${a}", "car"]
    lines = "\n".join(f"  - '{name}'" for name in names)
    (tmp_path / "data.yaml").write_text(f"names:\n{lines}\nnc: 4\n")
    assert read_data_yaml(tmp_path / "data.yaml").names == tuple(names)
