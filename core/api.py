"""Using umbel from Python: `umbel.train(...)` and `umbel.load(...)`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from umbel.errors import ConfigError, DataError

if TYPE_CHECKING:
    import numpy as np

    from umbel.config import Recipe
    from umbel.runtime.base import Runtime
    from umbel.task import Task


def train(
    recipe: str | Path, overrides: Sequence[str] = (), *, out: str | Path, resume: bool = False
) -> dict[str, float]:
    """Train a recipe, evaluate it, and leave checkpoints, metrics and scores in a folder.

    Args:
        recipe: path of a YAML file, or a registered name such as "demo".
        overrides: "a.b=c" strings; "tasks.x=null" drops a task.
        out: folder of the run; it must not hold one already unless `resume`.
        resume: go on from the newest checkpoint in `out`.

    Returns:
        Scores by "task/metric", and "score".

    Raises:
        UmbelError: naming what is wrong, where, and what to do.
    """
    from umbel.observers import register_observers
    from umbel.plugins import Plugins
    from umbel.recipe import load_recipe
    from umbel.run import CHECKPOINTS, prepare
    from umbel.run import train as train_run

    directory = Path(out)
    plugins = Plugins.discover()
    typed, tree = load_recipe(str(recipe), overrides, plugins)
    if not resume and (directory / CHECKPOINTS).exists():
        raise ConfigError("already holds a run", where=str(directory), hint="resume it, or choose another folder")
    run = prepare(typed, tree, plugins, directory)
    register_observers(plugins)
    return train_run(run, resume=resume)


@dataclass(frozen=True)
class Trained:
    """A trained model with its tasks.

    Attributes:
        recipe: what it was trained with.
        tasks: tasks by name.
        runtime: gives the forward pass.
    """

    recipe: Recipe
    tasks: Mapping[str, Task[Any]]
    runtime: Runtime

    def predict(self, image: np.ndarray, task: str | None = None) -> dict[str, Any]:
        """Predictions for one image, by task name.

        Args:
            image: (H, W, 3) uint8 RGB.
            task: only this task; None runs all.
        """
        import torch

        from umbel.inference import predict
        from umbel.trained import select_tasks

        if image.ndim != 3 or image.shape[-1] != 3 or image.dtype.name != "uint8":
            raise DataError(f"image has shape {image.shape} and type {image.dtype}; expected (H, W, 3) uint8 RGB")
        pixels = torch.from_numpy(image.copy()).to(self.runtime.device).permute(2, 0, 1)
        predictions = {}
        with self.runtime.evaluating():
            for name, chosen in select_tasks(self.tasks, [task] if task else []).items():
                (predictions[name],) = predict(self.runtime.forward, chosen, [pixels], self.runtime.model.fill)
        return predictions

    def evaluate(self) -> dict[str, float]:
        """Scores on the validation data of all tasks, by "task/metric", and "score"."""
        from umbel.data.loader import load_datasets
        from umbel.evaluation import evaluate

        return evaluate(self.runtime, self.tasks, load_datasets(self.tasks, "val"), self.recipe.score)


def open_tasks(
    recipe: str | Path | Mapping[str, Any], overrides: Sequence[str] = ()
) -> tuple[Recipe, dict[str, Task[Any]]]:
    """The tasks of a recipe without a model, to read its data or to measure with its metrics.

    Args:
        recipe: path of a YAML file, folder of a run, registered name, or the content of a recipe.
        overrides: "a.b=c" strings; for content there are none.
    """
    from umbel.plugins import Plugins
    from umbel.recipe import build_recipe, load_recipe
    from umbel.run import RECIPE_FILE, build_tasks

    plugins = Plugins.discover()
    if isinstance(recipe, Mapping):
        from omegaconf import OmegaConf

        typed = build_recipe(OmegaConf.create(dict(recipe)), plugins, "recipe")
    else:
        inside = Path(recipe) / RECIPE_FILE
        typed, _ = load_recipe(str(inside if inside.is_file() else recipe), overrides, plugins)
    return typed, build_tasks(typed, plugins)


def load(run: str | Path, checkpoint: str = "latest", overrides: Sequence[str] = ()) -> Trained:
    """Open a trained run.

    Args:
        run: its folder.
        checkpoint: "latest", "best", "best-TASK", "step-NNNNNNNN", or the path of a checkpoint folder.
        overrides: changes to its recipe, such as test-time augmentation.
    """
    from umbel.plugins import Plugins
    from umbel.trained import open_trained

    return Trained(*open_trained(str(run), overrides, checkpoint, Plugins.discover()))
