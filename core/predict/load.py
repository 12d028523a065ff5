"""Opening what was trained, to evaluate it or predict with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from umbel.checkpoint.layout import LATEST
from umbel.checkpoint.read import Checkpoint, find_checkpoint, open_checkpoint, trained_precision
from umbel.checkpoint.safetensors import load_tensors
from umbel.config.load import load_recipe
from umbel.config.schema import Recipe
from umbel.contract.errors import CheckpointError, ConfigError
from umbel.contract.task import Task
from umbel.io.run_folder import CHECKPOINTS, RECIPE_FILE, WEIGHTS
from umbel.model.weights import load_weights
from umbel.registry.plugins import Plugins
from umbel.runtime.build import build
from umbel.runtime.inference_model import InferenceModel


def open_trained(
    target: str, overrides: Sequence[str], checkpoint: str, plugins: Plugins
) -> tuple[Recipe, dict[str, Task[Any]], InferenceModel]:
    """A trained run, or a recipe with the weights of a checkpoint.

    Averaged weights are taken where the checkpoint has them: they are what training evaluated.

    Args:
        target: a run's folder, or a recipe's path or name.
        overrides: changes to its recipe.
        checkpoint: "latest", "best", "best-TASK" or a checkpoint folder's name in the run; or the path of a checkpoint
            folder or of another run.
        plugins: where kinds are looked up.
    """
    directory = Path(target)
    is_run = directory.is_dir()
    if is_run and not (directory / RECIPE_FILE).is_file():
        raise CheckpointError(f"is not a run: it has no {RECIPE_FILE}", where=target, hint="give the folder of a run")
    recipe = load_recipe(str(directory / RECIPE_FILE) if is_run else target, overrides, plugins).typed
    bundled = directory / WEIGHTS
    if checkpoint == LATEST and bundled.is_file() and not (directory / CHECKPOINTS).exists():  # `umbel export` made it
        tensors, where, trained_in = load_tensors(bundled), str(bundled), "fp32"
    else:
        opened = resolve_checkpoint(directory if is_run else None, checkpoint)
        tensors, where = opened.tensors("average") or opened.tensors("model"), str(opened.path)
        trained_in = trained_precision(opened)
    tasks, model = build(recipe, plugins, pretrained=False)
    load_weights(model, tensors, where)
    precision = recipe.train.precision if recipe.train.precision != "auto" else trained_in
    return recipe, tasks, InferenceModel(model, precision, channels_last=recipe.train.channels_last)


def resolve_checkpoint(run: Path | None, name: str) -> Checkpoint:
    """The verified checkpoint that a name stands for.

    Args:
        run: folder of a run, or None where there is none.
        name: see `open_trained`.
    """
    own = run / CHECKPOINTS / name if run is not None and Path(name).parts == (name,) else None  # a name, not a path
    if own is not None and (name == LATEST or own.is_file()):
        return find_checkpoint(own.parent, name)  # the run's own names come before folders of the same name
    if own is not None and own.is_dir():
        return open_checkpoint(own)
    if (Path(name) / CHECKPOINTS).is_dir():
        return find_checkpoint(Path(name) / CHECKPOINTS)
    if Path(name).is_dir():
        return open_checkpoint(Path(name))
    if run is None:
        raise ConfigError(
            f"no checkpoint folder '{name}'",
            where="--checkpoint",
            hint="a recipe needs the path of a checkpoint or a run",
        )
    return find_checkpoint(run / CHECKPOINTS, name)


def select_tasks(tasks: Mapping[str, Task[Any]], names: Sequence[str]) -> dict[str, Task[Any]]:
    """The named tasks, or all where no name is given."""
    for name in names:
        if name not in tasks:
            raise ConfigError(f"no task '{name}'", where="--task", hint=f"the run has {', '.join(tasks)}")
    return {name: task for name, task in tasks.items() if not names or name in names}
