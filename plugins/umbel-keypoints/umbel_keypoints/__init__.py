"""Named points of one object for umbel, with left and right kept apart under flips."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from umbel import hookimpl

if TYPE_CHECKING:
    import click


@hookimpl
def umbel_tasks() -> dict[str, str]:
    return {"keypoints": "umbel_keypoints.task:Keypoints"}


@hookimpl
def umbel_recipes() -> dict[str, str]:
    return {path.stem: str(path) for path in Path(__file__).parent.glob("*.yaml")}


@hookimpl
def umbel_commands(cli: click.Group) -> None:
    from umbel_keypoints.street_corners import street_corners

    cli.add_command(street_corners)
