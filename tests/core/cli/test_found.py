"""A command looks for plugins once."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from command_line import exit_code

from umbel.cli.found import found_plugins
from umbel.registry.plugins import Plugins

RECIPE = "tasks: {cars: {kind: classification, options: {root: nowhere}}}\n"


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> list[Plugins]:
    """What every search found."""
    found: list[Plugins] = []
    discover = Plugins.discover

    def noted() -> Plugins:
        found.append(discover())
        return found[-1]

    monkeypatch.setattr(Plugins, "discover", noted)
    return found


@pytest.mark.parametrize("verb", [["plugins"], ["show"], ["show", "--schema", "timm"], ["check"], ["plan"]])
def test_once_a_command(verb: list[str], searches: list[Plugins], tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE)
    exit_code(*verb, *([str(recipe)] if verb[-1] in ("show", "check", "plan") else []))
    assert len(searches) == 1


def test_the_next_command_looks_again(searches: list[Plugins]) -> None:
    for _ in range(2):
        assert exit_code("plugins") == 0
    assert len(searches) == 2


def test_a_command_invoked_by_itself_finds_its_own_once(searches: list[Plugins]) -> None:
    @click.command()
    def alone() -> None:
        assert found_plugins() is found_plugins() is searches[0]

    assert CliRunner().invoke(alone, catch_exceptions=False).exit_code == 0
    assert len(searches) == 1
