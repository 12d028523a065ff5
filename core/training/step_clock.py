"""Where the time of training steps goes."""

from __future__ import annotations

import time
from collections.abc import Callable


class StepClock:
    """Adds up wall time by part of a step; each charge covers what has passed since the one before.

    On an accelerator work is only queued: "forward" and "backward" are then the time to queue it, and the time until
    the device is done shows up in "wait", which ends every step's backwards with a look at the losses.

    Args:
        now: seconds of a monotonic clock.

    Attributes:
        seconds: by (part, task), task "" where all share it; the first step, which warms caches up, is left out.
        steps: steps counted.
    """

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self.now = now
        self.seconds: dict[tuple[str, str], float] = {}
        self.steps = 0
        self._warm = False
        self._last = now()

    def start(self) -> None:
        """Forget the time since the last charge: it was an evaluation, a checkpoint, a log line."""
        self._last = self.now()

    def charge(self, part: str, task: str = "") -> None:
        """Charge the time since the last charge or start."""
        now = self.now()
        if self._warm:
            self.seconds[part, task] = self.seconds.get((part, task), 0.0) + now - self._last
        self._last = now

    def step_done(self) -> None:
        self.steps += self._warm
        self._warm = True
