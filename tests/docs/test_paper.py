"""docs/paper.md: its keys are in the recipe, its modules and tests exist, and its commands are understood."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest
from omegaconf import OmegaConf
from plugin_metadata import write_metadata

from umbel.cli import build_cli
from umbel.config.load import load_recipe
from umbel.registry.plugins import Plugins

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "paper.md").read_text(encoding="utf-8")
COMMANDS = [
    line
    for block in re.findall(r"^```sh\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
    if line.startswith("umbel ")
]
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in TEXT.splitlines()
    if line.startswith("| ") and not line.startswith("| what the paper says")
]


@pytest.fixture(scope="module")
def plugins() -> Plugins:
    return Plugins.discover()


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> dict[str, click.Command]:
    """umbel's, and those of the repository's plugins as if installed."""
    site = tmp_path_factory.mktemp("site")
    write_metadata(site)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(site))
        return dict(build_cli().commands)


def test_the_page_is_read_whole() -> None:
    assert len(ROWS) > 30
    assert len(COMMANDS) > 35
    assert {len(row) for row in ROWS} == {4}


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_are_understood(line: str, commands: dict[str, click.Command], plugins: Plugins) -> None:
    """The command takes the arguments, and the recipe the overrides, as `umbel show` would merge them."""
    command, *arguments = shlex.split(line, comments=True)[1:]
    found = commands[command].make_context(command, arguments).params
    target = str(found.get("recipe") or found.get("target") or found["run"])
    recipe = "traffic" if target == "runs/traffic" else target
    before = load_recipe(recipe, (), plugins).typed
    after = load_recipe(recipe, found["overrides"], plugins).typed
    assert (after != before) == bool(found["overrides"])  # an override that says what the recipe says is no ablation


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_rows_name_what_exists(row: list[str], plugins: Plugins) -> None:
    recipe = load_recipe("traffic", (), plugins).typed
    _, key, modules, tests = row
    (name,) = re.findall(r"`([^`]+)`", key)
    parent, _, last = name.rpartition(".")
    section = OmegaConf.structured(recipe)
    assert last in (OmegaConf.select(section, parent) if parent else section)
    assert all((ROOT / module).is_file() for module in re.findall(r"`([^`]+)`", modules))
    for test in re.findall(r"`([^`]+)`", tests):
        file, function = test.split("::")
        assert re.search(rf"^def {function}\(", (ROOT / file).read_text(), re.MULTILINE), test
