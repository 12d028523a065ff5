"""umbel train."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("recipe")
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the run; default: a new one in runs/.")
@click.option("--resume", is_flag=True, help="Go on from the newest checkpoint in --out.")
@click.option("--quiet", "-q", is_flag=True, help="No progress on stderr; scores and warnings only.")
@click.option("--json", "json_lines", is_flag=True, help="Progress and scores as JSON lines on stdout.")
@click.option("--exact", is_flag=True, help="With --resume: never from an older one because the newest is damaged.")
@click.option("--accept-changes", is_flag=True, help="With --resume: although data, batch_size or deepspeed changed.")
def train(
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

    from umbel import api
    from umbel.cli.tables import scores_table
    from umbel.errors import ConfigError
    from umbel.ranks import launched
    from umbel.signals import stop_signals

    if resume and out is None:
        raise ConfigError("--resume needs the run's folder", hint="add --out DIR")
    if exact and not resume:
        raise ConfigError("--exact says how to resume", hint="add --resume")
    if accept_changes and not resume:
        raise ConfigError("--accept-changes says how to resume", hint="add --resume")
    directory = out or new_directory(Path("runs"), Path(recipe).stem)
    if quiet:
        logging.getLogger().setLevel(logging.WARNING)
    with stop_signals(launched=launched().world_size > 1):  # from here on: to prepare a run may take minutes
        scores = api.train(
            recipe, overrides, out=directory, resume=resume, exact=exact, quiet=quiet, json_lines=json_lines,
            accept_changes=accept_changes,
        )  # fmt: skip
    if not launched().leads:
        return
    if not json_lines:
        click.echo(scores_table(scores))
    if not quiet:
        click.echo(f"run: {directory}", err=True)


def new_directory(parent: Path, name: str) -> Path:
    """The first of parent/name, parent/name-2, ... that does not exist."""
    candidate, number = parent / name, 1
    while candidate.exists():
        number += 1
        candidate = parent / f"{name}-{number}"
    return candidate
