"""The views of one image, each run through the model once."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from umbel.contract.task import Task
from umbel.contract.types import Size, View
from umbel.registry.calls.task_rules import expect_as_many
from umbel.runtime.base import Runtime


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

    A view's raw output is let go when the last group has decoded it, its prediction when the last variant is merged.

    Args:
        runtime: gives the forward pass.
        image: (3, H, W) uint8 on the runtime's device.
        members: every variant that will be asked for, once each.
    """

    def __init__(self, runtime: Runtime, image: Tensor, members: Sequence[Member]) -> None:
        self.runtime = runtime
        self.image = image
        self.size: Size = (int(image.shape[-2]), int(image.shape[-1]))
        self._merges = Counter((view, member.group) for member in members for view in member.views)
        self._decodes = Counter(view for view, _ in self._merges)
        self._outputs: dict[View, Any] = {}
        self._restored: dict[tuple[View, int], Any] = {}
        self._seconds: dict[View | tuple[View, int], float] = {}

    def merge(self, member: Member) -> tuple[Any, float]:
        """The variant's prediction, and the seconds it would have taken on its own."""
        predictions = [self._prediction(member, view) for view in member.views]
        started = self._now()
        merged = member.task.merge(iter(predictions))
        seconds = self._now() - started
        for view in member.views:
            key = (view, member.group)
            seconds += self._seconds[view] + self._seconds[key]
            self._merges[key] -= 1
            if not self._merges[key]:
                del self._restored[key]
        return merged, seconds

    def _prediction(self, member: Member, view: View) -> Any:
        key = (view, member.group)
        if key not in self._restored:
            output = self._output(view, member.task.name)
            started = self._now()
            (prediction,) = expect_as_many(member.task, member.task.decode(output, view), 1)
            self._restored[key] = member.task.restore(prediction, view, self.size)
            self._seconds[key] = self._now() - started
            self._decodes[view] -= 1
            if not self._decodes[view]:
                del self._outputs[view]
        return self._restored[key]

    def _output(self, view: View, name: str) -> Any:
        if view not in self._outputs:
            started = self._now()
            shown = view.apply(self.image, self.runtime.model.fill)
            self._outputs[view] = self.runtime.forward(shown[None], name)
            self._seconds[view] = self._now() - started
        return self._outputs[view]

    def _now(self) -> float:
        if self.runtime.device.type == "cuda":
            torch.cuda.synchronize(self.runtime.device)
        return time.perf_counter()
