"""Every hook is on the page, and every example there is loaded as a plugin and called."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from toys import TOY_RECIPE, BrightTask, TinyBackbone

from umbel import load
from umbel.cli import main
from umbel.contract import hooks
from umbel.contract.capabilities import CAPABILITIES
from umbel.registry.plugins import Plugins


@pytest.fixture(scope="module")
def page(repository: Path) -> str:
    return (repository / "docs" / "hooks.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def examples(page: str) -> dict[str, str]:
    """The code below each hook's heading."""
    found = re.findall(r"^### (umbel_\w+)\n.*?^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return dict(found)


@pytest.fixture
def distribute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, str]], None]:
    """Lays modules out as distributions of their own, as pip would leave them."""
    site = tmp_path / "site"
    monkeypatch.syspath_prepend(str(site))

    def add(modules: dict[str, str]) -> None:
        for module, source in modules.items():
            info = site / f"{module}-1.dist-info"
            info.mkdir(parents=True)
            (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1\n")
            (info / "entry_points.txt").write_text(f"[umbel.v1]\nmain = {module}\n")
            (site / f"{module}.py").write_text(source)
            monkeypatch.delitem(sys.modules, module, raising=False)

    return add


def test_every_hook_has_an_example(examples: dict[str, str]) -> None:
    specs = {name for name in vars(hooks) if name.startswith("umbel_")}
    assert set(examples) == specs


def test_every_python_block_is_tested(page: str, examples: dict[str, str]) -> None:
    assert page.count("```python") == len(examples) + 1  # and the contract's


def test_every_capability_is_in_the_table(page: str) -> None:
    rows = re.findall(r"^\| `(\w+)` \| (`[^|]+)\|", page, re.MULTILINE)
    listed = {name: set(re.findall(r"`(\w+)`", methods)) for name, methods in rows}
    assert listed == {one.__name__: {name for name in vars(one) if name[0] != "_"} for one in CAPABILITIES}


def test_the_examples_work(
    examples: dict[str, str],
    distribute: Callable[[dict[str, str]], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    distribute({f"doc_{name}": source for name, source in examples.items()})
    (tmp_path / "recipes").mkdir()
    recipe = TOY_RECIPE.replace("kind: bright,", "kind: brightness,").replace("name: tiny", "name: small")
    recipe = recipe.replace("train: {", "train: {balancer: {name: laggard}, ")
    (tmp_path / "recipes" / "both.yaml").write_text(recipe.replace("steps: 12", "steps: 4"))
    found = Plugins.discover()
    assert not [plugin for plugin in found.found.values() if plugin.error]
    assert found.task_class("brightness", "") is BrightTask
    assert found.backbone_class("small", "") is TinyBackbone
    assert found.balancer_class("laggard", "").__module__ == "doc_umbel_balancers"
    main(["train", "both", "--out", "run"])
    run = tmp_path / "run"
    assert [line.split()[0] for line in (run / "heads.txt").read_text().splitlines()] == ["first", "second"]
    assert (run / "losses.csv").read_text().startswith("4,")
    left = {task: float(load("run").runtime.model.balancer.factor(task)) for task in ("first", "second")}
    assert all(value > 0 and value != 1 for value in left.values())
    assert (run / "last.txt").read_text().startswith("step 4: ")
    assert (run / "ended.txt").read_text() == "whole"
    capsys.readouterr()
    main(["weigh", "run"])
    assert capsys.readouterr().out.endswith(" MiB\n")


@pytest.mark.slow
def test_the_contract_example_passes(page: str, repository: Path, tmp_path: Path) -> None:
    (source,) = re.findall(r"^```python\n(from umbel.testing.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "test_small.py").write_text(
        f"import sys\nsys.path.insert(0, {str(repository / 'tests' / 'support')!r})\n{source}"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout
