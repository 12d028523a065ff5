"""When a task takes part, and how much it weighs then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from umbel.contract.task_config import TaskConfig


@dataclass(frozen=True)
class Window:
    """A task's own cadence.

    Args:
        every: it takes part in one of so many steps (or rounds, where tasks take turns).
        start_step: its first step, counted from 0.
        stop_step: the step it no longer takes part in; None is the end of the run.
    """

    every: int = 1
    start_step: int = 0
    stop_step: int | None = None

    def holds(self, step: int) -> bool:
        """Whether a step is neither before the start nor after the stop."""
        return self.start_step <= step and (self.stop_step is None or step < self.stop_step)


def weight_at(config: TaskConfig, step: int) -> float:
    """Factor on a task's loss in a step: it grows linearly over `weight_warmup` steps from the task's first step on,
    beginning with `weight / weight_warmup`, and is `weight` from then on."""
    if not config.weight_warmup:
        return config.weight
    return config.weight * min(1.0, (step - config.start_step + 1) / config.weight_warmup)
