"""The backbone runs once for all tasks that look at an image the same way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from torch import Tensor

from umbel.contract.types import Size, View
from umbel.evaluate.inference import Views, show, size_of
from umbel.runtime.base import SplitInference

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class CountedCache(Generic[K, V]):
    """Values that are computed at their first use and dropped at their last.

    Args:
        uses: the key of every use to come.
    """

    def __init__(self, uses: Iterable[K]) -> None:
        self._left = Counter(uses)
        self._values: dict[K, V] = {}

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: K, compute: Callable[[], V]) -> V:
        """The value of a key; this is one use of it."""
        value = self._values.pop(key) if key in self._values else compute()
        self._left[key] -= 1
        if self._left[key] > 0:
            self._values[key] = value
        return value


class _ViewKey(NamedTuple):
    """What decides the features of a view: equal keys have equal features."""

    size: Size
    hflip: bool
    canvas: Size
    interpolation: str  # empty where nothing is resized
    backbone: str


class SharedFeatures:
    """Outputs of a batch of images whose features are computed once and dropped after the last task that needs them.

    Args:
        runtime: runs backbone and heads apart.
        images: (3, H, W) uint8 each, on the model's device.
        views: their views, by name of every task that will be asked for, once each.
    """

    def __init__(self, runtime: SplitInference, images: Sequence[Tensor], views: Views) -> None:
        self.runtime = runtime
        self.images = images
        self._sizes = {size_of(image) for image in images}
        self._features: CountedCache[_ViewKey, tuple[Tensor, ...]] = CountedCache(
            self._key(view, name) for name, of_task in views.items() for view in of_task
        )

    def __call__(self, view: View, task: str) -> Any:
        """Raw output of a task's head for a view of the images."""
        pad_color = self.runtime.model.pad_color
        return self.runtime.head(
            self._features.get(
                self._key(view, task), lambda: self.runtime.features(show(self.images, view, pad_color), task)
            ),
            task,
        )

    def _key(self, view: View, task: str) -> _ViewKey:
        resized = self._sizes != {view.size}
        canvas = view.canvas or view.size
        backbone = self.runtime.model.backbone.feature_key(task)
        return _ViewKey(view.size, view.hflip, canvas, view.interpolation if resized else "", backbone)
