"""How a task reports: it is shown every evaluated sample once, and gives figures at the end."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from umbel.contract.figures import Example, ExampleFigure, Figure, picture
from umbel.contract.types import Sample

Draw = Callable[[np.ndarray, Any], np.ndarray]  # an (H, W, 3) uint8 image with a prediction or target in it
SHOWN = 4  # examples of a kind


class Reporter:
    """Collects what a report says about one task; subclass it and return it from the task's `reporter`.

    It sees the samples of the last evaluation while they are in memory, so that a report costs no second pass.
    """

    def add(self, sample: Sample, prediction: Any) -> None:
        """Take in one sample with its prediction, both in original coordinates."""

    def figures(self) -> list[Figure]:
        """What there is to show, most important first."""
        return []


class FirstExamples(Reporter):
    """What a task without a reporter of its own gets: its first samples, drawn as the task draws."""

    def __init__(self, draw: Draw) -> None:
        self.draw = draw
        self.kept: list[tuple[Sample, Any]] = []

    def add(self, sample: Sample, prediction: Any) -> None:
        if len(self.kept) < SHOWN:
            self.kept.append((sample, prediction))

    def figures(self) -> list[Figure]:
        return [ExampleFigure("Examples", [example(self.draw, *pair) for pair in self.kept])]


class BestAndWorst:
    """Keeps the samples with the highest and the lowest value, without holding the others.

    Args:
        count: how many of each.
    """

    def __init__(self, count: int = SHOWN) -> None:
        self.count = count
        self._order = itertools.count()  # heaps never compare samples
        self._best: list[tuple[float, int, Sample, Any]] = []
        self._worst: list[tuple[float, int, Sample, Any]] = []

    def add(self, value: float, sample: Sample, prediction: Any) -> None:
        """Take a sample into account; a NaN value is passed over."""
        if value != value:
            return
        order = -next(self._order)  # of equal values the first stays
        for heap, key in ((self._best, value), (self._worst, -value)):
            entry = (key, order, sample, prediction)
            if len(heap) < self.count:
                heapq.heappush(heap, entry)
            else:
                heapq.heappushpop(heap, entry)

    def figures(self, draw: Draw, what: str) -> list[Figure]:
        """The worst, then the best samples; a sample is never in both.

        Args:
            draw: draws an image with a prediction or target in it, as `Draws.draw` of the task.
            what: name of the value, such as "IoU".
        """
        worst = sorted(self._worst, key=lambda entry: (-entry[0], -entry[1]))
        taken = {entry[2].id for entry in worst}
        best = [entry for entry in sorted(self._best, reverse=True) if entry[2].id not in taken]
        shown: list[Figure] = []
        for title, entries, sign in (("Worst examples", worst, -1), ("Best examples", best, 1)):
            items = [
                example(draw, sample, prediction, f"{what} {sign * key:.2f}") for key, _, sample, prediction in entries
            ]
            if items:
                shown.append(ExampleFigure(title, items))
        return shown


def example(draw: Draw, sample: Sample, prediction: Any, remark: str = "") -> Example:
    """A sample drawn twice: the prediction beside the truth."""
    drawn: Sequence[tuple[str, Any]] = (("prediction", prediction), ("truth", sample.target))
    pictures = [picture(label, draw(sample.image, shown)) for label, shown in drawn]
    return Example(f"{sample.id}  {remark}".rstrip(), pictures)
