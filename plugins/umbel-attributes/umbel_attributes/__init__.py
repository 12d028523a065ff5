"""Several attributes of one image for umbel: categories and numbers from a table with gaps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from umbel import hookimpl

if TYPE_CHECKING:
    import click


@hookimpl
def umbel_tasks() -> dict[str, str]:
    return {"attributes": "umbel_attributes.task:Attributes"}


@hookimpl
def umbel_recipes() -> dict[str, str]:
    return {path.stem: str(path) for path in Path(__file__).parent.glob("*.yaml")}


@hookimpl
def umbel_commands(cli: click.Group) -> None:
    from umbel_attributes.street_labels import street_labels

    cli.add_command(street_labels)
