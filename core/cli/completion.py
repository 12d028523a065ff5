"""umbel completion."""

from __future__ import annotations

import click

PLACES = {"bash": "~/.bashrc", "zsh": "~/.zshrc", "fish": "~/.config/fish/completions/umbel.fish"}


@click.command()
@click.argument("shell", type=click.Choice(tuple(PLACES)))
def completion(shell: str) -> None:
    """Print what makes a SHELL complete umbel's commands and options.

    For bash: umbel completion bash >> ~/.bashrc
    """
    from click.shell_completion import get_completion_class

    from umbel.cli import cli

    found = get_completion_class(shell)
    assert found is not None  # click has all three
    click.echo(found(cli, {}, "umbel", "_UMBEL_COMPLETE").source())
    click.echo(f"append this to {PLACES[shell]}, then open a new shell", err=True)
