"""umbel check --data."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from umbel.io.output import tolerant
from umbel.io.say import say

if TYPE_CHECKING:
    from umbel.config.schema import Recipe
    from umbel.registry.plugins import Plugins
    from umbel.workflows.check.check import DataReport


def print_data_report(recipe: Recipe, plugins: Plugins, workers: int, json_file: str | None) -> int:
    """Read all data of a recipe, print or write what is wrong with it, and return the exit code.

    Args:
        recipe: the typed recipe.
        plugins: where its kinds are looked up.
        workers: processes that read.
        json_file: where to write the report as JSON too; "-" prints it in place of the text.
    """
    from umbel.io.files import write_json
    from umbel.io.written import write_new
    from umbel.workflows.check.report import to_json, to_text

    if json_file is not None and json_file != "-":
        with write_new(Path(json_file), "report on data"):
            report = _checked(recipe, plugins, workers)
            write_json(Path(json_file), to_json(report))
    else:
        report = _checked(recipe, plugins, workers)
    if json_file == "-":
        click.echo(json.dumps(to_json(report), indent=1))
    else:
        say(*to_text(report).split("\n"))
    return report.exit_code


def _checked(recipe: Recipe, plugins: Plugins, workers: int) -> DataReport:
    from umbel.config.build import build_tasks
    from umbel.workflows.check.check import check_data

    report = check_data(build_tasks(recipe, plugins), workers, _progress if sys.stderr.isatty() else None)
    if sys.stderr.isatty():
        click.echo(err=True)
    return report


def _progress(done: int, total: int) -> None:
    if done == total or done % 50 == 0:
        bar = tolerant(sys.stderr)  # goes back to the start of its line
        bar.write(f"\rread {done:,} of {total:,} samples")
        bar.flush()
