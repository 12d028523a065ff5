"""umbel extract."""

from __future__ import annotations

from pathlib import Path

import click

from umbel.cli.found import found_plugins
from umbel.cli.targets import RUN, look_early
from umbel.io.say import say


@click.command()
@click.argument("run", type=RUN)
@click.option("--tasks", "listed", required=True, metavar="A,B", help="The tasks that stay, separated by commas.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write.")
@click.option("--checkpoint", default="latest", show_default=True, metavar="NAME")
def extract(run: Path, listed: str, out: Path, checkpoint: str) -> None:
    """Write a smaller bundle of a trained RUN with some of its tasks, which evaluates and predicts as RUN does."""
    from umbel.config.targets import check_out

    check_out(out, resume=False)
    look_early(run)
    from umbel.workflows.growth.extract import extract as write_bundle

    names = [name.strip() for name in listed.split(",") if name.strip()]
    parameters = write_bundle(run, names, out, checkpoint=checkpoint, plugins=found_plugins())
    say(f"{out}: {', '.join(names)}; {parameters:,} values")
