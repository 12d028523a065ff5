"""Training from Python: `umbel.train(...)`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from umbel.contract.errors import ConfigError


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
        return _train(recipe, overrides, directory, resume, quiet, json_lines, exact, accept_changes)


def _train(
    recipe: str | Path, overrides: Sequence[str], directory: Path, resume: bool, quiet: bool, json_lines: bool,
    exact: bool, accept_changes: bool,
) -> dict[str, float]:  # fmt: skip
    from umbel.config.load import load_recipe
    from umbel.io.run_folder import CHECKPOINTS
    from umbel.registry.plugins import Plugins
    from umbel.training.observers import register_observers
    from umbel.training.prepare import prepare
    from umbel.training.session import train as train_run

    plugins = Plugins.discover()
    typed, tree = load_recipe(str(recipe), overrides, plugins)
    if not resume and (directory / CHECKPOINTS).exists():
        raise ConfigError("already holds a run", where=str(directory), hint="resume it, or choose another folder")
    if not resume and typed.growth.mode != "none":
        raise ConfigError(
            f"grew out of another run (growth.mode: {typed.growth.mode}), whose weights it needs",
            where=str(recipe),
            hint="umbel add-task makes such runs; without its growth section the recipe trains from the start",
        )
    run = prepare(typed, tree, plugins, directory, trial=not resume)  # what is resumed has had its trial
    register_observers(plugins, quiet=quiet, json_lines=json_lines)
    return train_run(run, resume=resume, exact=exact, accept_changes=accept_changes)
