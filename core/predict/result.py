"""What a model says about one image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from umbel.contract.defaults import drawn, json_of
from umbel.registry.calls.fallback import as_method

if TYPE_CHECKING:
    import numpy as np

    from umbel.contract.task import Task


@dataclass(frozen=True, eq=False, repr=False)
class Result(Mapping[str, Any]):
    """Predictions for one image by task name: `result["signs"]` is what the task `signs` predicts.

    Args:
        image: (H, W, 3) uint8 RGB, what was predicted.
        predictions: by task name, in coordinates of the image.
        tasks: the tasks, by name.
        source: the file it came from, or "".
    """

    image: np.ndarray
    predictions: Mapping[str, Any]
    tasks: Mapping[str, Task[Any]]
    source: str = ""

    def __repr__(self) -> str:
        height, width = self.image.shape[:2]
        found = ", ".join(f"{name}: {type(prediction).__name__}" for name, prediction in self.predictions.items())
        return f"Result({self.source or 'image'}, {height}x{width}, {found})"

    def __getitem__(self, task: str) -> Any:
        return self.predictions[task]

    def __iter__(self) -> Iterator[str]:
        return iter(self.predictions)

    def __len__(self) -> int:
        return len(self.predictions)

    def plot(self, task: str | None = None) -> np.ndarray:
        """The image with the predictions of a task, or of all over one another in the recipe's order.

        Returns:
            (H, W, 3) uint8 RGB.

        Raises:
            KeyError: there is no prediction of this task.
        """
        picture = self.image
        for name in self.predictions if task is None else [task]:
            picture = drawn(self.tasks[name], picture, self.predictions[name])
        return picture

    def to_json(self) -> dict[str, Any]:
        """Predictions as JSON types, by task name."""
        return {
            name: as_method(self.tasks[name], "to_json", json_of, prediction)
            for name, prediction in self.predictions.items()
        }

    def save(self, path: str | Path, task: str | None = None) -> None:
        """Write the picture of `plot` as PNG or JPEG, by the suffix of `path`."""
        from umbel.io.images import write_image

        write_image(Path(path), self.plot(task))
