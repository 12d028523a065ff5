"""The views of one image, each run once for all variants of test-time augmentation that contain it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor

from umbel.contract.task import Task
from umbel.contract.types import View
from umbel.evaluate.feature_cache import CountedCache
from umbel.evaluate.inference import merge_views, restored, run_views, size_of
from umbel.evaluate.stopwatch import Stopwatch
from umbel.runtime.base import Inference


@dataclass(frozen=True)
class Member:
    """One variant on one image.

    Args:
        task: the variant's task.
        group: its number of `decode_groups`.
        views: its views of the image.
    """

    task: Task[Any]
    group: int
    views: Sequence[View]


class ImageViews:
    """Predictions of an image's views, restored to its frame and shared by the variants that contain them.

    A view's raw output is let go when the last group has decoded it, its prediction when the last variant has it.

    Args:
        runtime: gives the forward pass.
        image: (3, H, W) uint8 on the runtime's device.
        members: every variant that will be asked for, once each; all of one task.
    """

    def __init__(self, runtime: Inference, image: Tensor, members: Sequence[Member]) -> None:
        self._sizes = [size_of(image)]
        self._run = run_views(runtime, [image], {})
        self._watch = Stopwatch(runtime.device)
        restores = [(view, member.group) for member in members for view in member.views]
        self._restored: CountedCache[tuple[View, int], list[Any]] = CountedCache(restores)
        self._outputs: CountedCache[View, Any] = CountedCache(view for view, _ in dict.fromkeys(restores))

    def merge(self, member: Member) -> tuple[Any, float]:
        """The variant's prediction, and the seconds it would have taken on its own."""
        with self._watch.timing(None):
            (merged,) = merge_views(member.task, member.views, partial(self._restore, member), 1)
        seconds = self._watch.seconds
        shared = [key for view in member.views for key in (view, (view, member.group))]
        return merged, seconds.pop(None) + sum(seconds[key] for key in shared)

    def _restore(self, member: Member, view: View) -> Iterator[Any]:
        """The prediction of a view, in an iterator."""
        key = (view, member.group)

        def compute() -> list[Any]:
            with self._watch.timing(key):
                return list(restored(member.task, self._output, self._sizes, view))

        return iter(self._restored.get(key, compute))

    def _output(self, view: View, task: str) -> Any:
        def compute() -> Any:
            with self._watch.timing(view):
                return self._run(view, task)

        return self._outputs.get(view, compute)
