"""Procedural street scenes: the data behind `umbel demo`, and the recipes that come with umbel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from umbel import hookimpl

if TYPE_CHECKING:
    import click


_RECIPES = Path(__file__).resolve().parents[1]


@hookimpl
def umbel_recipes() -> dict[str, str]:
    return {path.stem: str(path) for path in sorted(_RECIPES.glob("*.yaml"))}


@hookimpl
def umbel_commands(cli: click.Group) -> None:
    from umbel.recipes.streets.command import demo

    cli.add_command(demo)
