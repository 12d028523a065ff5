"""Time that a device takes."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Hashable, Iterator
from contextlib import contextmanager

import torch


def seconds_now(device: torch.device) -> float:
    """A clock in seconds, read once the device has done all it was asked for."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


class Stopwatch:
    """Seconds by key; what is timed inside another block counts for itself alone.

    Args:
        device: whose work is timed.

    Attributes:
        seconds: by key, the sum of its blocks.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds: defaultdict[Hashable, float] = defaultdict(float)
        self._inner = [0.0]  # by depth, the seconds of the blocks inside

    @contextmanager
    def timing(self, key: Hashable) -> Iterator[None]:
        """Take the time of the block."""
        started = seconds_now(self.device)
        self._inner.append(0.0)
        try:
            yield
        finally:
            taken = seconds_now(self.device) - started
            self.seconds[key] += taken - self._inner.pop()
            self._inner[-1] += taken
