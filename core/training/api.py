"""Training from Python: `umbel.train(...)`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from umbel.contract.errors import ConfigError

if TYPE_CHECKING:
    from umbel.training.run import Run


def train(
    recipe: str | Path,
    overrides: Sequence[str] = (),
    *,
    out: str | Path,
    resume: bool = False,
    quiet: bool = False,
    json_lines: bool = False,
    exact: bool = False,
    accept_changes: bool = False,
) -> dict[str, float]:
    """Train a recipe, evaluate it, and leave checkpoints, metrics and scores in a folder.

    Args:
        recipe: path of a YAML file, or a registered name such as "demo".
        overrides: "a.b=c" strings; "tasks.x=null" drops a task.
        out: folder of the run; it must not hold one already unless `resume`.
        resume: go on from the newest checkpoint in `out`.
        quiet: show no progress on stderr.
        json_lines: write progress to stdout, one JSON object a line.
        exact: with `resume`, never from an older one because the newest is damaged.
        accept_changes: with `resume`, go on although the data has changed, or how the recipe divides a step.

    Returns:
        Scores by "task/metric", and "score".

    Raises:
        UmbelError: naming what is wrong, where, and what to do.
    """
    from umbel.io.run_folder import new_or_resumed, train_command

    directory = Path(out)
    with new_or_resumed(directory, train_command(resume), resume=resume):
        from umbel.training.observers import register_observers
        from umbel.training.session import train as train_run

        run = _prepare(str(recipe), overrides, directory, resume=resume)
        register_observers(run.plugins, quiet=quiet, json_lines=json_lines)
        return train_run(run, resume=resume, exact=exact, accept_changes=accept_changes)


def _prepare(recipe: str, overrides: Sequence[str], directory: Path, *, resume: bool) -> Run:
    from umbel.config.load import load_recipe
    from umbel.io.run_folder import CHECKPOINTS
    from umbel.registry.plugins import Plugins
    from umbel.training.prepare import prepare

    loaded = load_recipe(recipe, overrides, Plugins.discover())
    if not resume and (directory / CHECKPOINTS).exists():
        raise ConfigError("already holds a run", where=str(directory), hint="resume it, or choose another folder")
    if not resume and loaded.typed.growth.mode != "none":
        raise ConfigError(
            f"grew out of another run (growth.mode: {loaded.typed.growth.mode}), whose weights it needs",
            where=recipe,
            hint="umbel add-task makes such runs; without its growth section the recipe trains from the start",
        )
    return prepare(loaded, directory, trial=not resume)  # what is resumed has had its trial
