"""umbel add-task."""

from __future__ import annotations

from pathlib import Path

import click

from umbel.cli.found import found_plugins
from umbel.cli.targets import RECIPE, RUN, look_early
from umbel.io.say import say


@click.command("add-task")
@click.argument("run", type=RUN)
@click.argument("recipe", type=RECIPE)
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--mode", type=click.Choice(["frozen", "adapter", "joint"]), default="frozen", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the grown run; default: a new one in runs/.")
@click.option("--resume", is_flag=True, help="Go on from the newest checkpoint in --out, with the same arguments.")
@click.option("--accept-changes", is_flag=True, help="With --resume: although data, batch_size or deepspeed changed.")
@click.option("--checkpoint", default="latest", show_default=True, metavar="NAME")
def add_task(
    *,
    run: Path,
    recipe: str,
    overrides: tuple[str, ...],
    mode: str,
    out: Path | None,
    resume: bool,
    accept_changes: bool,
    checkpoint: str,
) -> None:
    """Add the tasks of RECIPE that a trained RUN does not have, and train them.

    frozen keeps backbone and old heads as they are; adapter gives the new tasks low-rank adapters on the backbone
    besides; joint trains everything on. The old tasks are evaluated before and after: exit code 1 if the main metric of
    one has lost more than growth.max_drop.
    """
    from umbel.config.targets import check_out
    from umbel.contract.errors import ConfigError

    if resume and out is None:
        raise ConfigError("--resume needs the run's folder", hint="add --out DIR")
    if out is not None:
        check_out(out, resume=resume)
    look_early(recipe, overrides)
    from umbel.cli.tables import scores_table
    from umbel.cli.train import run_directory
    from umbel.io.text import text_table
    from umbel.runtime.ranks import ranks_from_env
    from umbel.workflows.growth.add import add_tasks

    several = ranks_from_env().world_size > 1
    with run_directory(out, Path("runs"), f"{run.name}-grown", several=several) as directory:
        verdicts, scores = add_tasks(
            run, recipe, overrides=overrides, mode=mode, out=directory, checkpoint=checkpoint,
            plugins=found_plugins(), resume=resume, accept_changes=accept_changes,
        )  # fmt: skip
    if not ranks_from_env().is_main_process:
        return
    click.echo(scores_table(scores))
    click.echo()
    rows = [
        (f"{v.task}/{v.metric}", f"{v.before:.4f}", f"{v.after:.4f}", f"{v.after - v.before:+.4f}",
         "ok" if v.passed else "DROPPED")
        for v in verdicts
    ]  # fmt: skip
    click.echo(text_table(("old task", "before", "after", "change", "gate"), rows))
    say(f"run: {directory}", err=True)
    if not all(verdict.passed for verdict in verdicts):
        raise click.exceptions.Exit(1)
