"""The one message that ranks exchange in a step, before its optimizer: flags, a signal, and what comes next."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from umbel.contract.task import Task
from umbel.contract.types import Batch
from umbel.runtime.base import Runtime
from umbel.training.participation import UNKNOWN, Participation, participation, participation_row

Batches = Mapping[str, Batch | None]


class Lookahead:
    """Composite batches, of which the next can be looked at before its turn.

    An error in looking is raised at the batch's turn, so that the step before it is whole.
    """

    def __init__(self, batches: Iterable[Batches]) -> None:
        self._batches = iter(batches)
        self._held: Batches | Exception | None = None

    def __iter__(self) -> Iterator[Batches]:
        return self

    def __next__(self) -> Batches:
        held, self._held = self._held, None
        if isinstance(held, Exception):
            raise held
        return next(self._batches) if held is None else held

    def peek(self) -> Batches | None:
        """The next composite batch, empty after the last; None where it cannot be read."""
        if self._held is None:
            try:
                self._held = next(self._batches)
            except Exception as error:  # StopIteration as well
                self._held = error
        if isinstance(self._held, StopIteration):
            return {}
        return None if isinstance(self._held, Exception) else self._held


class StepRound:
    """What the ranks tell each other once a step; every rank must call its methods alike.

    The message goes out when the gradients are there. It holds what decides on them, the signal that a rank has
    received, and which tasks it has data for in the next composite batch: so the next step begins without a message.

    Args:
        runtime: how messages go.
        tasks: tasks by name.
        received: the number of the signal that this rank has received, 0 for none.

    Attributes:
        signal: number of the signal that any rank had received at the last message, the same on all ranks.
    """

    def __init__(self, runtime: Runtime, tasks: Mapping[str, Task[Any]], received: Callable[[], int]) -> None:
        self.runtime = runtime
        self.tasks = tasks
        self.received = received
        self.signal = 0
        self._announced: Batches | None = None
        self._rows: list[list[int]] = []

    def participation(self, batches: Batches) -> Participation:
        """Who has data for what in a composite batch; asks the others unless the last message has told it.

        Raises:
            TrainingError: on all ranks, if they do not run the same tasks.
        """
        if self._announced is not batches or any(row[0] == UNKNOWN for row in self._rows):
            self._exchange(batches, [])
        self._announced = None
        return participation(self.runtime, self.tasks, batches, self._rows)

    def settle(self, flags: Tensor, upcoming: Batches | None) -> Tensor:
        """The elementwise maximum of flags over all ranks.

        Args:
            flags: 1-dimensional, 0 or 1, on the CPU; as many on every rank.
            upcoming: the next composite batch, empty after the last; None where that is not known.
        """
        rows = self._exchange(upcoming, [int(flag) for flag in flags.tolist()])
        return torch.tensor([max(column) for column in zip(*rows, strict=True)], dtype=flags.dtype)

    def _exchange(self, batches: Batches | None, flags: list[int]) -> list[list[int]]:
        """Send and receive; what the ranks gave as flags, by rank."""
        mine = participation_row(self.tasks, batches)
        rows = self.runtime.all_gather([*mine, self.received(), *flags])
        self.signal = max(row[len(mine)] for row in rows)
        self._announced, self._rows = batches, [row[: len(mine)] for row in rows]
        return [row[len(mine) + 1 :] for row in rows]
