"""Predictions of several tasks at once: the trunk runs once for all tasks that look at an image the same way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from torch import Tensor

from umbel.contract.task import Task
from umbel.contract.types import Size, View, round_up
from umbel.evaluate.inference import batch_of
from umbel.model.model import MultiTaskModel
from umbel.registry.calls.task_rules import expect_as_many


class SplitRuntime(Protocol):
    """A runtime that can run trunk and heads apart."""

    model: MultiTaskModel

    def features(self, images: Tensor, task: str) -> tuple[Tensor, ...]:
        """Levels of (B, 3, H, W) pixel values, for a task."""

    def head(self, features: tuple[Tensor, ...], task: str) -> Any:
        """Raw output of a task's head."""


class _Look(NamedTuple):
    """What decides the features of a view: equal looks have equal features."""

    size: Size
    hflip: bool
    canvas: Size
    interpolation: str  # empty where nothing is resized
    trunk: str


def predict_tasks(
    runtime: SplitRuntime, tasks: Mapping[str, Task[Any]], images: Sequence[Tensor], size: Size | None = None
) -> list[dict[str, Any]]:
    """Predict a few images with every task; to be run inside `runtime.evaluating()`.

    The result is that of `umbel.evaluate.inference.predict` for each task. Features are kept only until the last task
    that needs them has had them. Images of one size run together where every task has a single view of them.

    Args:
        runtime: runs trunk and heads.
        tasks: tasks by name.
        images: (3, H, W) uint8 each, on the model's device.
        size: one view of this height and width for all tasks, in place of their own views, so that all share the trunk;
            it is rounded up to what the trunk's strides divide.

    Returns:
        Predictions by task name, in original coordinates, one dict an image.
    """
    results: list[dict[str, Any]] = [{} for _ in images]
    forced = None if size is None else [View(round_up(size, max(runtime.model.backbone.spec.strides)))]
    for original in dict.fromkeys(_size(image) for image in images):
        views = {name: forced or task.views(original) for name, task in tasks.items()}
        members = [index for index, image in enumerate(images) if _size(image) == original]
        together = all(len(of_task) == 1 for of_task in views.values())
        for batch in [members] if together else [[index] for index in members]:
            trunk = _Trunk(runtime, [images[index] for index in batch], original, views)
            for name, task in tasks.items():
                for index, prediction in zip(batch, _predict(trunk, task, views[name], original), strict=True):
                    results[index][name] = prediction
    return results


def _predict(trunk: _Trunk, task: Task[Any], views: Sequence[View], original: Size) -> list[Any]:
    """Predictions of a batch of one view, or of a single image of any number of views."""
    if len(views) == 1:
        decoded = task.decode(trunk.output(views[0], task.name), views[0])
        expect_as_many(task, decoded, len(trunk.images))
        return [task.merge([task.restore(prediction, views[0], original)]) for prediction in decoded]

    def restored() -> Iterator[Any]:
        for view in views:
            (prediction,) = expect_as_many(task, task.decode(trunk.output(view, task.name), view), 1)
            yield task.restore(prediction, view, original)

    return [task.merge(restored())]


class _Trunk:
    """Features of a batch of images of one size, each computed once and dropped after its last use."""

    def __init__(
        self, runtime: SplitRuntime, images: Sequence[Tensor], original: Size, views: Mapping[str, Sequence[View]]
    ) -> None:
        self.runtime = runtime
        self.images = images
        self.original = original
        self.uses = Counter(self._look(view, name) for name, of_task in views.items() for view in of_task)
        self.kept: dict[_Look, tuple[Tensor, ...]] = {}

    def output(self, view: View, task: str) -> Any:
        """Raw output of a task's head for a view of the images."""
        look = self._look(view, task)
        features = self.kept.pop(look, None)
        if features is None:
            fill = self.runtime.model.fill
            features = self.runtime.features(batch_of([view.apply(image, fill) for image in self.images]), task)
        self.uses[look] -= 1
        if self.uses[look] > 0:
            self.kept[look] = features
        return self.runtime.head(features, task)

    def _look(self, view: View, task: str) -> _Look:
        resized = view.size != self.original
        canvas = view.canvas or view.size
        key = self.runtime.model.backbone.trunk_key(task)
        return _Look(view.size, view.hflip, canvas, view.interpolation if resized else "", key)


def _size(image: Tensor) -> Size:
    return (int(image.shape[-2]), int(image.shape[-1]))
