"""Plans with one task a step: in turn, or drawn.

Where a task starts or stops, the plan begins anew with the tasks present from there on. In between it is made of equal
parts, rounds or blocks, whose content is known: so participations are counted part by part, not step by step.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from umbel.contract.errors import ConfigError
from umbel.contract.randomness import keyed_generator
from umbel.schedule.plan import Plan
from umbel.schedule.window import Window

BLOCK = 1000  # steps in which every task gets its exact share

_LONGEST_CYCLE = 100_000


@dataclass(frozen=True)
class _Stretch:
    """Steps between two starts or stops, with the tasks that are present."""

    first: int
    tasks: tuple[str, ...]


class _OneTaskPlan(Plan):
    def __init__(self, windows: Mapping[str, Window]) -> None:
        super().__init__(windows)
        borders = {0} | {w.start_step for w in windows.values()}
        borders |= {w.stop_step for w in windows.values() if w.stop_step is not None}
        self._stretches = [
            _Stretch(first, tuple(name for name, window in windows.items() if window.holds(first)))
            for first in sorted(borders)
        ]

    def at(self, step: int) -> tuple[str, ...]:
        stretch = next(s for s in reversed(self._stretches) if s.first <= step)
        if not stretch.tasks:
            return ()
        period = self._period(stretch.tasks)
        part, offset = divmod(step - stretch.first, period)
        return (stretch.tasks[self._part(stretch, part)[offset]],)

    def taken(self, task: str, step: int) -> int:
        count = 0
        ends = [stretch.first for stretch in self._stretches[1:]] + [step]
        for stretch, end in zip(self._stretches, ends, strict=True):
            if task not in stretch.tasks or stretch.first >= step:
                continue
            index = stretch.tasks.index(task)
            part, offset = divmod(min(end, step) - stretch.first, self._period(stretch.tasks))
            count += part * int(np.count_nonzero(self._part(stretch, 0) == index)) if part else 0
            count += int(np.count_nonzero(self._part(stretch, part)[:offset] == index)) if offset else 0
        return count

    def taken_by_any(self, tasks: Collection[str], step: int) -> int:
        return sum(self.taken(task, step) for task in tasks)

    @abstractmethod
    def _period(self, tasks: tuple[str, ...]) -> int:
        """Steps in a part."""

    @abstractmethod
    def _part(self, stretch: _Stretch, part: int) -> np.ndarray:
        """Index of the task of each step of a part; every part of a stretch holds a task equally often."""


class TurnPlan(_OneTaskPlan):
    """Round robin: one task a step, in the recipe's order; a task of `every` n sits out all but every n-th round."""

    def __init__(self, windows: Mapping[str, Window]) -> None:
        super().__init__(windows)
        rounds = math.lcm(*(window.every for window in windows.values()))
        if rounds > _LONGEST_CYCLE:
            raise ConfigError(
                f"have the common multiple {rounds:,}; in turns it may be at most {_LONGEST_CYCLE:,}",
                where="tasks.*.every",
                hint="choose numbers that divide each other",
            )
        self._cycles: dict[tuple[str, ...], np.ndarray] = {}

    @property
    def rates(self) -> dict[str, float]:
        return _normalised({name: 1 / window.every for name, window in self.windows.items()})

    def _period(self, tasks: tuple[str, ...]) -> int:
        return len(self._cycle(tasks))

    def _part(self, stretch: _Stretch, part: int) -> np.ndarray:
        return self._cycle(stretch.tasks)

    def _cycle(self, tasks: tuple[str, ...]) -> np.ndarray:
        if tasks not in self._cycles:
            every = [self.windows[name].every for name in tasks]
            order = [index for turn in range(math.lcm(*every)) for index, n in enumerate(every) if turn % n == 0]
            self._cycles[tasks] = np.asarray(order)
        return self._cycles[tasks]


class SampledPlan(_OneTaskPlan):
    """One task a step, drawn: in every block of 1000 steps each task has its share of steps, rounded, at least one, in
    an order drawn from the seed.

    Args:
        windows: the tasks' cadence; a task of `every` n has an n-th of its share.
        shares: relative frequency of each task, in any unit.
        seed: run seed.
    """

    def __init__(self, windows: Mapping[str, Window], shares: Mapping[str, float], seed: int) -> None:
        super().__init__(windows)
        self.shares = {name: shares[name] / window.every for name, window in windows.items()}
        self.seed = seed
        self._newest: tuple[tuple[int, int], np.ndarray] = ((-1, -1), np.empty(0, np.int64))

    @property
    def rates(self) -> dict[str, float]:
        names = tuple(self.windows)
        return {name: count / BLOCK for name, count in zip(names, self._quotas(names), strict=True)}

    def _period(self, tasks: tuple[str, ...]) -> int:
        return BLOCK

    def _part(self, stretch: _Stretch, part: int) -> np.ndarray:
        key = (stretch.first, part)
        if self._newest[0] != key:
            block = np.repeat(np.arange(len(stretch.tasks)), self._quotas(stretch.tasks))
            order = keyed_generator(self.seed, "schedule", *key).permutation(block)
            self._newest = (key, order)
        return self._newest[1]

    def _quotas(self, tasks: tuple[str, ...]) -> list[int]:
        """Steps of each task in a block, by largest remainder; they add up to the block."""
        shares = _normalised({name: self.shares[name] for name in tasks})
        exact = (
            [1 + shares[name] * (BLOCK - len(tasks)) for name in tasks]
            if _any_rare(shares)
            else [shares[name] * BLOCK for name in tasks]
        )
        quotas = [int(value) for value in exact]
        by_remainder = sorted(range(len(tasks)), key=lambda index: (quotas[index] - exact[index], index))
        for index in by_remainder[: BLOCK - sum(quotas)]:
            quotas[index] += 1
        return quotas


def _any_rare(shares: Mapping[str, float]) -> bool:
    """Whether rounding could leave a task without a single step of a block."""
    return min(shares.values()) * BLOCK < 1


def _normalised(shares: Mapping[str, float]) -> dict[str, float]:
    total = sum(shares.values())
    return {name: share / total for name, share in shares.items()}
