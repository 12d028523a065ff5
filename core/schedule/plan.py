"""The step plan: which tasks take part in a step, as a pure function of the seed and the step.

Every process computes the same plan and nothing of it has to be saved: a task's place in its data is the number of its
earlier participations, which is counted without going through the steps.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from itertools import pairwise

from umbel.schedule.window import Window


class Plan(ABC):
    """Which tasks take part in which step. Steps are counted from 0.

    Attributes:
        windows: when each task may take part, by task name in the recipe's order.
    """

    def __init__(self, windows: Mapping[str, Window]) -> None:
        self.windows = dict(windows)

    @abstractmethod
    def at(self, step: int) -> tuple[str, ...]:
        """Names of the tasks that take part in a step, in the recipe's order."""

    @abstractmethod
    def taken(self, task: str, step: int) -> int:
        """Number of steps before `step` that a task takes part in: its position in its data."""

    def taken_by_any(self, tasks: Collection[str], step: int) -> int:
        """Number of steps before `step` that one or more of some tasks take part in."""
        return sum(not set(self.at(earlier)).isdisjoint(tasks) for earlier in range(step))

    @property
    @abstractmethod
    def rates(self) -> dict[str, float]:
        """Share of the steps that each task takes part in while all tasks do."""


class CompositePlan(Plan):
    """All tasks in every step, but those that rest or whose time has not come or is over (Algorithm 1)."""

    def at(self, step: int) -> tuple[str, ...]:
        return tuple(name for name, w in self.windows.items() if w.holds(step) and (step - w.start_step) % w.every == 0)

    def taken(self, task: str, step: int) -> int:
        window = self.windows[task]
        end = step if window.stop_step is None else min(step, window.stop_step)
        return max(0, -(-(end - window.start_step) // window.every))

    def taken_by_any(self, tasks: Collection[str], step: int) -> int:
        windows = [self.windows[name] for name in tasks]
        borders = {0, step, *(window.start_step for window in windows)}
        borders |= {window.stop_step for window in windows if window.stop_step is not None}
        count = 0
        for first, last in pairwise(sorted(border for border in borders if border <= step)):
            present = [window for window in windows if window.holds(first)]
            period = math.lcm(*(window.every for window in present)) if present else 1  # then all of it comes again
            whole, rest = divmod(last - first, period)
            taken = [
                any((at - window.start_step) % window.every == 0 for window in present)
                for at in range(first, first + (period if whole else rest))
            ]
            count += whole * sum(taken) + sum(taken[:rest])
        return count

    @property
    def rates(self) -> dict[str, float]:
        return {name: 1 / window.every for name, window in self.windows.items()}
