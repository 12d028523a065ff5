"""Using umbel from Python: `umbel.train(...)` and `umbel.load(...)`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, overload

from umbel.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image as PillowImage

    from umbel.config import Recipe
    from umbel.result import Result
    from umbel.runtime.local import LocalRuntime
    from umbel.task import Task
    from umbel.types import Size

    Image: TypeAlias = str | Path | np.ndarray | PillowImage.Image


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
    from umbel.run_folder import new_or_resumed, train_command

    directory = Path(out)
    with new_or_resumed(directory, train_command(resume), resume=resume):
        return _train(recipe, overrides, directory, resume, quiet, json_lines, exact, accept_changes)


def _train(
    recipe: str | Path, overrides: Sequence[str], directory: Path, resume: bool, quiet: bool, json_lines: bool,
    exact: bool, accept_changes: bool,
) -> dict[str, float]:  # fmt: skip
    from umbel.observers import register_observers
    from umbel.plugins import Plugins
    from umbel.recipe import load_recipe
    from umbel.run import prepare
    from umbel.run import train as train_run
    from umbel.run_folder import CHECKPOINTS

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
    runtime: LocalRuntime

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

        Tasks that look at an image the same way share one pass of the trunk.

        Args:
            source: the path of an image file, a Pillow image or an (H, W, 3) uint8 RGB array; a list or tuple of these;
                or a generator of them, which is read as the results are asked for.
            task: only this task; None runs all.
            confidence: leave out what scores lower, in 0..1.
            classes: names of the classes to keep; tasks that have none of them are left alone.
            size: show every task the image at this height and width, so that all share the trunk, in place of their
                own test views.
            batch: images in a pass, of those that have one size.

        Returns:
            A `Result` for one image, a list for a list, an iterator for any other iterable.

        Raises:
            DataError: a source cannot be read.
            ConfigError: the task or a class does not exist.
        """
        from umbel.predictor import Predictor
        from umbel.trained import select_tasks

        tasks = select_tasks(self.tasks, [task] if task else [])
        predictor = Predictor(self.runtime, tasks, confidence, tuple(classes), size)
        if isinstance(source, (str, Path)) or not isinstance(source, Iterable) or hasattr(source, "__array__"):
            return next(predictor.stream([source], 1))
        if isinstance(source, Sequence):
            return list(predictor.stream(source, max(1, batch)))
        return predictor.stream(source, max(1, batch))

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
        recipe: path of a YAML file, folder of a run, registered name, or the content of a recipe, in whose texts
            ${...} is an interpolation as in a file; `umbel.literal` escapes what is none, such as a path.
        overrides: "a.b=c" strings; for content there are none.
    """
    from umbel.plugins import Plugins
    from umbel.recipe import build_recipe, content_tree, load_recipe
    from umbel.run import build_tasks
    from umbel.run_folder import RECIPE_FILE

    plugins = Plugins.discover()
    if isinstance(recipe, Mapping):
        typed = build_recipe(content_tree(recipe), plugins, "recipe")
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
