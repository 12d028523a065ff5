"""Using umbel from Python: `umbel.train(...)` and `umbel.load(...)`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, overload

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image as PillowImage

    from umbel.config.schema import Recipe
    from umbel.contract.task import Task
    from umbel.contract.types import Size
    from umbel.predict.result import Result
    from umbel.runtime.base import SplitInference

    Image: TypeAlias = str | Path | np.ndarray | PillowImage.Image


@dataclass(frozen=True)
class TrainedModel:
    """A trained model with its tasks.

    Attributes:
        recipe: what it was trained with.
        tasks: tasks by name.
        runtime: gives the forward pass.
    """

    recipe: Recipe
    tasks: Mapping[str, Task[Any]]
    runtime: SplitInference

    @overload
    def predict(  # type: ignore[overload-overlap]  # a path is a sequence of paths, to a type checker
        self, source: Image, task: str | None = ..., *, confidence: float | None = ..., classes: Sequence[str] = ...,
        size: Size | None = ..., batch: int = ...,
    ) -> Result: ...  # fmt: skip

    @overload
    def predict(  # type: ignore[overload-overlap]
        self, source: Sequence[Image], task: str | None = ..., *, confidence: float | None = ...,
        classes: Sequence[str] = ..., size: Size | None = ..., batch: int = ...,
    ) -> list[Result]: ...  # fmt: skip

    @overload
    def predict(
        self, source: Iterable[Image], task: str | None = ..., *, confidence: float | None = ...,
        classes: Sequence[str] = ..., size: Size | None = ..., batch: int = ...,
    ) -> Iterator[Result]: ...  # fmt: skip

    def predict(
        self,
        source: Image | Iterable[Image],
        task: str | None = None,
        *,
        confidence: float | None = None,
        classes: Sequence[str] = (),
        size: Size | None = None,
        batch: int = 8,
    ) -> Result | list[Result] | Iterator[Result]:
        """Predictions for one image, a list of images, or a stream of them.

        Tasks with equal views of an image share one pass of the backbone.

        Args:
            source: the path of an image file, a Pillow image or an (H, W, 3) uint8 RGB array; a list or tuple of these;
                or a generator of them, which is read as the results are asked for.
            task: only this task; None runs all.
            confidence: leave out what scores lower, in 0..1.
            classes: names of the classes to keep; tasks that have none of them are left alone.
            size: show every task the image at this height and width, so that all share the backbone, in place of their
                own test views.
            batch: images in a pass, of those that have one size.

        Returns:
            A `Result` for one image, a list for a list, an iterator for any other iterable.

        Raises:
            DataError: a source cannot be read.
            ConfigError: the task or a class does not exist.
        """
        from umbel.predict.load import select_tasks
        from umbel.predict.predictor import Predictor

        tasks = select_tasks(self.tasks, [task] if task else [])
        predictor = Predictor(self.runtime, tasks, confidence, tuple(classes), size)
        if isinstance(source, (str, Path)) or not isinstance(source, Iterable) or hasattr(source, "__array__"):
            return next(predictor.stream([source], 1))
        if isinstance(source, Sequence):
            return list(predictor.stream(source, max(1, batch)))
        return predictor.stream(source, max(1, batch))

    def evaluate(self) -> dict[str, float]:
        """Scores on the validation data of all tasks, by "task/metric", and "score"."""
        from umbel.data.datasets import load_datasets
        from umbel.evaluate.evaluate import evaluate

        return evaluate(self.runtime, self.tasks, load_datasets(self.tasks, "val"), self.recipe.score)


def open_tasks(
    recipe: str | Path | Mapping[str, Any], overrides: Sequence[str] = ()
) -> tuple[Recipe, dict[str, Task[Any]]]:
    """The tasks of a recipe without a model, to read its data or to measure with its metrics.

    Args:
        recipe: path of a YAML file, folder of a run, registered name, or the content of a recipe, in whose texts
            ${...} is an interpolation as in a file; `umbel.literal` escapes what is none, such as a path.
        overrides: "a.b=c" strings; for content there are none.
    """
    from umbel.config.build import build_tasks
    from umbel.config.check import build_recipe
    from umbel.config.load import load_recipe
    from umbel.config.read import content_tree
    from umbel.io.run_folder import RECIPE_FILE
    from umbel.registry.plugins import Plugins

    plugins = Plugins.discover()
    if isinstance(recipe, Mapping):
        typed = build_recipe(content_tree(recipe), plugins, "recipe")
    else:
        inside = Path(recipe) / RECIPE_FILE
        typed = load_recipe(str(inside if inside.is_file() else recipe), overrides, plugins).typed
    return typed, build_tasks(typed, plugins)


def load(run: str | Path, checkpoint: str = "latest", overrides: Sequence[str] = ()) -> TrainedModel:
    """Open a trained run.

    Args:
        run: its folder.
        checkpoint: "latest", "best", "best-TASK", "step-NNNNNNNN", or the path of a checkpoint folder.
        overrides: changes to its recipe, such as test-time augmentation.
    """
    from umbel.predict.load import open_trained
    from umbel.registry.plugins import Plugins

    return TrainedModel(*open_trained(str(run), overrides, checkpoint, Plugins.discover()))
