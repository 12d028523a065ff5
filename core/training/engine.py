"""Algorithm 1: every task forward and backward, then one optimizer step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from umbel.contract.randomness import keyed_seed
from umbel.contract.task import Task
from umbel.contract.types import Batch, Losses
from umbel.io.step_shortage import of_update
from umbel.runtime.base import Runtime
from umbel.schedule.window import weight_at
from umbel.training.balancing import show_step
from umbel.training.guard import Guard
from umbel.training.participation import DummyBatches
from umbel.training.passes import Passes
from umbel.training.step_clock import StepClock
from umbel.training.step_round import Lookahead, StepRound

AfterStep = Callable[[int, dict[str, Losses], float], bool | None]


@dataclass
class Engine:
    """Trains the tasks of a model, composite batch by composite batch.

    Args:
        runtime: steps the model.
        tasks: tasks by name.
        guard: lets the gradients through to the weights, or not; by default it stops at the first bad step.
        clock: takes the time of each part of a step.
        dummy_batches: what runs where this rank has no data.
        received: the number of the signal that this rank has received, 0 for none.

    Attributes:
        round: the message of a step.
    """

    runtime: Runtime
    tasks: Mapping[str, Task[Any]]
    guard: Guard = field(default_factory=Guard)
    clock: StepClock = field(default_factory=StepClock)
    dummy_batches: DummyBatches = field(default_factory=DummyBatches)
    received: Callable[[], int] = int
    round: StepRound = field(init=False)

    def __post_init__(self) -> None:
        self.round = StepRound(self.runtime, self.tasks, self.received)

    def fit(
        self,
        batches: Iterable[Mapping[str, Batch | None]],
        after_step: AfterStep,
        *,
        seed: int,
        start: int,
        accumulate: int = 1,
    ) -> None:
        """Train over composite batches.

        Dropout and drop path draw from a generator seeded by (seed, part, step), so nothing has to be restored on
        resume; the parts of a step are its composite batches on all ranks, however many ranks share them.

        Args:
            batches: composite batches, beginning with the first of step `start`; a task that one lacks rests.
            after_step: called with the number of steps done, the losses and the learning rate; true ends it.
            seed: run seed.
            start: steps already done.
            accumulate: composite batches a step; their mean gradient is applied.
        """
        parts: list[dict[str, Losses]] = []
        self.runtime.model.train()
        self.clock.start()
        ahead = Lookahead(batches) if self.runtime.world_size > 1 else None
        for number, composite in enumerate(ahead or batches, start * accumulate):
            step, part = divmod(number, accumulate)
            self.clock.charge("data")
            stream = part * self.runtime.world_size + self.runtime.rank
            torch.manual_seed(keyed_seed(seed, "step", stream, step))
            lr, last = self.runtime.lr(), part == accumulate - 1
            weights = {name: weight_at(self.tasks[name].config, step) / accumulate for name in composite}
            parts.append(self.train_step(composite, weights, last=last, ahead=ahead))
            if last:
                self.clock.step_done()
                if after_step(step + 1, mean_losses(parts), lr):
                    return
                parts = []
                self.clock.start()

    def train_step(
        self,
        batches: Mapping[str, Batch | None],
        weights: Mapping[str, float],
        *,
        last: bool = True,
        ahead: Lookahead | None = None,
    ) -> dict[str, Losses]:
        """One composite batch. Each task's graph is freed before the next task's is built, so peak memory is that of
        the largest task, not of their sum; tasks of one source share a pass of the backbone.

        Args:
            batches: one batch of each task that takes part in this step, in order; None where this rank has no data.
            weights: factor on each task's loss, on top of which comes that of the model's balancer.
            last: step the optimizer; False only adds to the gradients, before the next batch of the same step.
            ahead: gives the next composite batch, which the message of this step then announces to the other ranks.

        Returns:
            The losses of each task, detached, before weighting.

        Raises:
            TrainingError: if a loss or gradient is not finite and the guard's policy is to stop; no weight is touched.
        """
        taking_part = self.round.participation(batches)
        scales = taking_part.scales
        self.runtime.begin_batch(even=taking_part.even)
        factors = {name: scales[name] * weights[name] for name in scales}
        work = Passes(
            self.runtime, self.tasks, batches, factors=factors, clock=self.clock, dummy_batches=self.dummy_batches
        )
        self.guard.before(self.runtime.model)
        losses = work.of_all(last=last)
        if not last:
            self.guard.keep(batches, losses)
            return losses
        upcoming = None if ahead is None else ahead.peek()
        with of_update():
            passed = self.guard.passes(
                self.runtime, batches, losses, work, settle=lambda flags: self.round.settle(flags, upcoming)
            )
            self.clock.charge("wait")
            if passed:
                self.runtime.step()
        if passed:
            show_step(self.runtime, {name: value.total for name, value in losses.items()}, work.norms, scales)
        self.clock.charge("optimizer")
        return losses


def mean_losses(parts: Sequence[Mapping[str, Losses]]) -> dict[str, Losses]:
    """Losses of a step from those of its composite batches, each task's over the batches that it took part in."""
    if len(parts) == 1:
        return dict(parts[0])
    grouped: dict[str, list[Losses]] = {}
    for part in parts:
        for name, losses in part.items():
            grouped.setdefault(name, []).append(losses)
    return {
        name: Losses(
            torch.stack([losses.total for losses in group]).mean(),
            {
                key: torch.stack([losses.parts[key] for losses in group if key in losses.parts]).mean()
                for key in dict.fromkeys(key for losses in group for key in losses.parts)  # a dummy loss has none
            },
        )
        for name, group in grouped.items()
    }
