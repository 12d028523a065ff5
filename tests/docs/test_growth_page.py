"""docs/growth.md and docs/recipes.md: their commands run on toys, their blocks are recipes."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest
from toys import TOY_MODULE

from umbel.cli import main
from umbel.config.load import load_recipe
from umbel.config.read import read_tree
from umbel.registry.plugins import Plugins

STREETS = """
backbone: {name: tiny}
tasks:
  road: {kind: bright, batch_size: 4, input_size: [16, 16]}
  cars: {kind: bright, batch_size: 4, input_size: [16, 16], options: {threshold: 60}}
train: {steps: 3, precision: fp32}
"""
SIGNS = "tasks:\n  signs: {kind: bright, batch_size: 4, input_size: [16, 16]}\ntrain: {steps: 3}\n"


def blocks(repository: Path, page: str, language: str) -> list[str]:
    text = (repository / "docs" / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.fixture
def toys_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = tmp_path / "site"
    info = site / "toy_tasks-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-tasks\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[umbel.v1]\nmain = toys_of_the_growth_page\n")
    (site / "toys_of_the_growth_page.py").write_text(TOY_MODULE)
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.delitem(sys.modules, "toys_of_the_growth_page", raising=False)
    monkeypatch.chdir(tmp_path)


def test_commands_of_the_growth_page_run_in_order(repository: Path, toys_installed: None) -> None:
    Path("streets.yaml").write_text(STREETS)
    Path("signs.yaml").write_text(SIGNS)
    main(["train", "streets.yaml", "--out", "runs/streets"])
    commands = [shlex.split(line) for block in blocks(repository, "growth.md", "sh") for line in block.splitlines()]
    assert [command[1] for command in commands] == ["add-task", "evaluate", "extract", "drop-task", "evaluate"]
    for command in commands:
        main(command[1:])
    assert Path("runs/grown/gate.json").is_file()
    assert Path("runs/without-cars/recipe.yaml").is_file()


def test_blocks_are_recipes(repository: Path, tmp_path: Path) -> None:
    plugins = Plugins.discover()
    pages = [blocks(repository, "recipes.md", "yaml"), blocks(repository, "growth.md", "yaml")]
    assert [len(page) for page in pages] == [6, 1]
    plain = load_recipe("street_trio", (), plugins).typed
    for block in [block for page in pages for block in page]:
        path = tmp_path / "block.yaml"
        path.write_text(f"defaults: street_trio\n{block}")
        recipe = load_recipe(str(path), (), plugins).typed
        assert recipe != plain
    assert list(read_tree(str(path), plugins).tasks)


def test_tables_name_what_there_is(repository: Path) -> None:
    text = (repository / "docs" / "recipes.md").read_text(encoding="utf-8")
    balancers = {registration.name for registration in Plugins.discover().registered("balancer")}
    (table,) = re.findall(r"^\| `train\.balancer\.name`.*?\n\n", text, re.MULTILINE | re.DOTALL)
    assert set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE)) == balancers
