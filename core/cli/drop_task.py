"""umbel drop-task."""

from __future__ import annotations

from pathlib import Path

import click

from umbel.cli.found import found_plugins
from umbel.cli.targets import RUN, look_early
from umbel.io.say import say


@click.command("drop-task")
@click.argument("run", type=RUN)
@click.argument("names", metavar="TASK...", nargs=-1, required=True)
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write; default: RUN-without-TASK.")
@click.option("--checkpoint", default="latest", show_default=True, metavar="NAME")
def drop_task(run: Path, names: tuple[str, ...], out: Path | None, checkpoint: str) -> None:
    """Write a trained RUN without some of its tasks; RUN itself stays as it is."""
    from umbel.config.targets import check_out
    from umbel.contract.errors import ConfigError

    folder = out or run.with_name(f"{run.name}-without-{'-'.join(names)}")
    check_out(folder, resume=False)
    look_early(run)
    from umbel.predict.load import open_trained
    from umbel.workflows.growth.extract import extract

    plugins = found_plugins()
    had = list(open_trained(str(run), (), checkpoint, plugins)[1])
    for name in names:
        if name not in had:
            raise ConfigError(f"no task '{name}'", where="drop-task", hint=f"the run has {', '.join(had)}")
    kept = [name for name in had if name not in names]
    parameters = extract(run, kept, folder, checkpoint=checkpoint, plugins=plugins, command="umbel drop-task")
    say(f"{folder}: {', '.join(kept)}; {parameters:,} values")
