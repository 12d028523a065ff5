"""Commands are listed without being imported, and are what the list says when they are called."""

from __future__ import annotations

import sys

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from umbel.cli import build_cli
from umbel.cli.commands import COMMANDS, LazyCommand


@pytest.mark.parametrize("name", COMMANDS)
def test_each_is_a_command_of_that_name(name: str) -> None:
    command = LazyCommand(name, COMMANDS[name]).load()
    assert isinstance(command, click.Command)
    assert command.name == name
    shown = CliRunner().invoke(build_cli(), [name, "--help"])
    assert shown.exit_code == 0
    assert shown.output.startswith(f"Usage: cli {name} ")
    assert command.help is not None
    assert command.help.split()[0] in shown.output


def test_the_list_imports_none_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in COMMANDS:
        monkeypatch.delitem(sys.modules, f"umbel.cli.{name.replace('-', '_')}", raising=False)
    listed = CliRunner().invoke(build_cli(), ["--help"]).output
    assert not [name for name in COMMANDS if f"umbel.cli.{name.replace('-', '_')}" in sys.modules]
    for name, line in COMMANDS.items():
        assert f"  {name}" in listed
        assert line in listed  # on one line, not cut off


def test_a_command_that_is_not_there_may_be_of_a_plugin() -> None:
    shown = CliRunner().invoke(build_cli(), ["zzz"])
    assert shown.exit_code == 2
    assert "No such command 'zzz'. Plugins bring commands too: `umbel plugins` lists" in shown.output


def test_options_are_completed() -> None:
    completions = ShellComplete(build_cli(), {}, "umbel", "_UMBEL_COMPLETE").get_completions(["train"], "--re")
    assert [item.value for item in completions] == ["--resume"]
