"""umbel check --data."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from umbel.text import printable

if TYPE_CHECKING:
    from umbel.config import Recipe
    from umbel.plugins import Plugins


def print_data_report(recipe: Recipe, plugins: Plugins, workers: int, json_file: str | None) -> int:
    """Read all data of a recipe, print or write what is wrong with it, and return the exit code.

    Args:
        recipe: the typed recipe.
        plugins: where its kinds are looked up.
        workers: processes that read.
        json_file: where to write the report as JSON too; "-" prints it in place of the text.
    """
    from umbel.data.files import write_json
    from umbel.inspection.check import check_data
    from umbel.inspection.report import to_json, to_text
    from umbel.run import build_tasks

    report = check_data(build_tasks(recipe, plugins), workers, _progress if sys.stderr.isatty() else None)
    if sys.stderr.isatty():
        click.echo(err=True)
    if json_file == "-":
        click.echo(json.dumps(to_json(report), indent=1))
        return report.exit_code
    if json_file is not None:
        write_json(Path(json_file), to_json(report))
    for line in to_text(report).split("\n"):
        click.echo(printable(line))
    return report.exit_code


def _progress(done: int, total: int) -> None:
    if done == total or done % 50 == 0:
        click.echo(f"\rread {done:,} of {total:,} samples", nl=False, err=True)
