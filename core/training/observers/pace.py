"""How fast a run goes: images/s of every task, and the time left."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Pace:
    """Progress at a step.

    Args:
        step: steps done.
        total: steps of the run.
        left: seconds that the rest will take at the pace so far.
        rates: images/s by task.
    """

    step: int
    total: int
    left: float
    rates: Mapping[str, float]


class PaceMeter:
    """Counts the images of every step.

    Args:
        batch_sizes: images of each task in a step it takes part in.
        first_step: steps done before.
        total: steps of the run.
        started: seconds of a monotonic clock.
    """

    def __init__(self, batch_sizes: Mapping[str, int], first_step: int, total: int, started: float) -> None:
        self.batch_sizes = batch_sizes
        self.first_step = first_step
        self.total = total
        self.started = started
        self.images = dict.fromkeys(batch_sizes, 0)

    def count(self, tasks: Iterable[str]) -> None:
        """A step of these tasks is done."""
        for task in tasks:
            self.images[task] = self.images.get(task, 0) + self.batch_sizes.get(task, 0)

    def at(self, step: int, now: float) -> Pace:
        """The pace after `step` steps."""
        elapsed = max(now - self.started, 1e-9)
        done = max(1, step - self.first_step)
        rates = {task: images / elapsed for task, images in self.images.items()}
        return Pace(step, self.total, (self.total - step) * elapsed / done, rates)
