"""The Open-TransMind challenge: writing its submission file and scoring one (docs/paper.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from umbel import hookimpl

if TYPE_CHECKING:
    import click


@hookimpl
def umbel_commands(cli: click.Group) -> None:
    from umbel_challenge.score_command import score
    from umbel_challenge.submit_command import submit

    cli.add_command(submit)
    cli.add_command(score)
