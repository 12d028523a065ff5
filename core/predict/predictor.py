"""Predicting with chosen tasks, confidence and classes: images in, results out, a batch at a time."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from umbel.contract.defaults import classes_of, filtered
from umbel.contract.errors import ConfigError
from umbel.contract.task import Task
from umbel.contract.types import Size
from umbel.data.read_ahead import read_ahead
from umbel.data.worker_counts import reads_ahead
from umbel.evaluate.feature_cache import SharedFeatures
from umbel.evaluate.inference import image_tensor, predict_tasks
from umbel.io.given import load_image, source_name
from umbel.predict.exhaustion import naming_exhaustion
from umbel.predict.reading import is_large
from umbel.predict.result import Result
from umbel.predict.room import check_room

if TYPE_CHECKING:
    import numpy as np

    from umbel.runtime.base import SplitInference


@dataclass(frozen=True)
class Predictor:
    """A model with the tasks that are wanted of it and what is to be shown of their predictions.

    Args:
        runtime: gives the forward pass.
        tasks: tasks by name.
        confidence: predictions with a lower score are left out; None keeps what the recipe keeps.
        classes: only these; a task that has none of them is not filtered. Empty keeps all.
        size: one view of this height and width for all tasks; see `umbel.evaluate.inference.predict_tasks`.

    Raises:
        ConfigError: a class that no task has, a confidence outside 0..1 or a size below 1.
    """

    runtime: SplitInference
    tasks: Mapping[str, Task[Any]]
    confidence: float | None = None
    classes: Sequence[str] = ()
    size: Size | None = None

    def __post_init__(self) -> None:
        known = {name for task in self.tasks.values() for name in classes_of(task)}
        for name in self.classes:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(sorted(known)) or 'none'}"
                raise ConfigError(f"no task has a class '{name}'", where="classes", hint=hint)
        if self.confidence is not None and not 0 <= self.confidence <= 1:
            raise ConfigError(f"is {self.confidence}; it must lie in 0..1", where="confidence")
        if self.size is not None and (min(self.size) < 1 or max(self.size) > 65536):
            raise ConfigError(f"is {list(self.size)}; expected height and width in pixels", where="size")

    def predict(self, images: Sequence[np.ndarray], sources: Sequence[str]) -> list[Result]:
        """Results of a few images, which share passes where they have one size.

        Args:
            images: (H, W, 3) uint8 RGB each.
            sources: the name of each.

        Raises:
            DataError: of kind "memory", they take more than there is; names them.
        """
        with naming_exhaustion(images, sources), self.runtime.eval_mode():
            for image, source in zip(images, sources, strict=True):
                check_room(self.runtime, self.tasks, (image.shape[0], image.shape[1]), self.size, source)
            predicted = self._predict(images)
        return [
            Result(image, {name: self._filter(name, p) for name, p in of_image.items()}, self.tasks, source)
            for image, of_image, source in zip(images, predicted, sources, strict=True)
        ]

    def stream(self, sources: Iterable[Any], batch: int) -> Iterator[Result]:
        """Results of any number of images as they come, holding no more than `batch` of them.

        Of a list or tuple as many again are read by a thread meanwhile; anything else is asked for its next image when
        that is wanted, for it may be a camera.

        Raises:
            DataError: a source is no image; the message names it.
        """
        ahead = batch if isinstance(sources, Sequence) and reads_ahead(self.tasks) else 0
        with closing(read_ahead(_load, sources, ahead, lambda loaded: is_large(loaded[0]))) as images:
            while chunk := list(islice(images, batch)):
                yield from self.predict([image for image, _ in chunk], [name for _, name in chunk])

    def _predict(self, images: Sequence[np.ndarray]) -> list[dict[str, Any]]:
        """Predictions by task name of each image; those of one size share passes."""
        predicted: list[dict[str, Any]] = [{} for _ in images]
        tensors = [image_tensor(image, self.runtime.device) for image in images]
        for shape in dict.fromkeys(image.shape for image in images):
            members = [index for index, image in enumerate(images) if image.shape == shape]
            batch = [tensors[index] for index in members]
            found = predict_tasks(self.runtime, self.tasks, batch, SharedFeatures, self.size)
            for index, of_image in zip(members, found, strict=True):
                predicted[index] = of_image
        return predicted

    def _filter(self, name: str, prediction: Any) -> Any:
        task = self.tasks[name]
        wanted = frozenset(self.classes) & frozenset(classes_of(task))
        if self.confidence is None and not wanted:
            return prediction
        return filtered(task, prediction, self.confidence, wanted)


def _load(source: Any) -> tuple[np.ndarray, str]:
    return load_image(source), source_name(source)
