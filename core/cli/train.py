"""umbel train."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import count
from pathlib import Path

import click

from umbel.cli.targets import RECIPE, look_early
from umbel.io.say import say


@click.command()
@click.argument("recipe", type=RECIPE)
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the run; default: a new one in runs/.")
@click.option("--resume", is_flag=True, help="Go on from the newest checkpoint in --out.")
@click.option("--quiet", "-q", is_flag=True, help="No progress on stderr; scores and warnings only.")
@click.option("--json", "json_lines", is_flag=True, help="Progress and scores as JSON lines on stdout.")
@click.option("--exact", is_flag=True, help="With --resume: never from an older one because the newest is damaged.")
@click.option("--accept-changes", is_flag=True, help="With --resume: although data, batch_size or deepspeed changed.")
def train(
    *,
    recipe: str,
    overrides: tuple[str, ...],
    out: Path | None,
    resume: bool,
    exact: bool,
    accept_changes: bool,
    quiet: bool,
    json_lines: bool,
) -> None:
    """Train RECIPE (a file or a name), evaluate it, and print the scores.

    Any key can be overridden: train.steps=100 tasks.road.batch_size=4, and tasks.road=null drops a task.

    On several GPUs: `deepspeed --module umbel train RECIPE` or `torchrun --nproc-per-node 8 -m umbel train RECIPE`.

    SIGTERM, SIGINT (Ctrl-C) or SIGUSR1 save a checkpoint after the present step and exit with 75, which means: resume
    me. A second one ends it at once.
    """
    import logging

    from umbel.config.targets import check_out
    from umbel.contract.errors import ConfigError

    if resume and out is None:
        raise ConfigError("--resume needs the run's folder", hint="add --out DIR")
    if exact and not resume:
        raise ConfigError("--exact says how to resume", hint="add --resume")
    if accept_changes and not resume:
        raise ConfigError("--accept-changes says how to resume", hint="add --resume")
    if out is not None:
        check_out(out, resume=resume)
    look_early(recipe, overrides)

    from umbel.cli.tables import scores_table
    from umbel.runtime.ranks import ranks_from_env
    from umbel.training.api import train as train_recipe
    from umbel.training.signals import stop_signals
    from umbel.workflows.plan.predicted import naming_prediction, predicted_for

    several = ranks_from_env().world_size > 1
    if quiet:
        logging.getLogger().setLevel(logging.WARNING)
    with (
        run_directory(out, Path("runs"), Path(recipe).stem, several=several) as directory,
        stop_signals(launched=several),  # from here on: to prepare a run may take minutes
        naming_prediction(partial(predicted_for, recipe, overrides)),
    ):
        scores = train_recipe(
            recipe, overrides, out=directory, resume=resume, exact=exact, quiet=quiet, json_lines=json_lines,
            accept_changes=accept_changes,
        )  # fmt: skip
    if not ranks_from_env().is_main_process:
        return
    if not json_lines:
        click.echo(scores_table(scores))
    if not quiet:
        say(f"run: {directory}", err=True)


@contextmanager
def run_directory(out: Path | None, parent: Path, name: str, *, several: bool) -> Iterator[Path]:
    """The folder of a run: `out`, or the first of parent/name, parent/name-2, ... that this command could make.

    Args:
        out: what the user has said.
        parent: folder of all runs.
        name: of the new one.
        several: a launcher started this process as one of several; they cannot tell each other yet who makes it.
    """
    if out is not None:
        yield out
        return
    for number in count(1):
        candidate = parent / (name if number == 1 else f"{name}-{number}")
        if os.path.lexists(candidate) or (not several and not _made(candidate)):
            continue
        try:
            yield candidate
        finally:
            if not several:
                with suppress(OSError):  # it holds something, as it should
                    candidate.rmdir()
        return


def _made(folder: Path) -> bool:
    """Make a folder; False if another has just done so."""
    from umbel.contract.errors import DataError

    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir()
    except FileExistsError:
        return False
    except OSError as error:
        raise DataError(f"cannot be written: {error.strerror}", where=str(folder)) from None
    return True
