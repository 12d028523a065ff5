"""umbel report."""

from __future__ import annotations

from pathlib import Path

import click

from umbel.cli.found import found_plugins
from umbel.cli.targets import RUN
from umbel.io.say import say


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=RUN)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write; default: report.html in RUN, comparison.html here for several.",
)
@click.option("--evaluate", is_flag=True, help="Evaluate RUN again for its figures; needs its validation data.")
@click.option("--checkpoint", default="latest", show_default=True, help="What --evaluate evaluates: latest, best, ...")
def report(runs: tuple[Path, ...], out: Path | None, evaluate: bool, checkpoint: str) -> None:
    """Build the report of a RUN again, or one that compares several.

    Without --evaluate the figures are those that training stored in report.json, so neither data nor model is needed.
    """
    from umbel.report.write import write_comparison, write_report
    from umbel.workflows.report import rebuild_figures

    for run in runs if evaluate else ():
        rebuild_figures(run, checkpoint, found_plugins())
    if len(runs) == 1:
        say(write_report(runs[0], out))
    else:
        say(write_comparison(runs, out or Path("comparison.html")))
