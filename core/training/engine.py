"""Algorithm 1: every task forward and backward, then one optimizer step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from umbel.contract.randomness import keyed_seed
from umbel.contract.task import Task
from umbel.contract.types import Batch, Losses
from umbel.io.step_shortage import of_step, of_update
from umbel.registry.calls.fault import of_backward, of_samples
from umbel.registry.calls.kernels import deterministic_task
from umbel.runtime.base import Runtime
from umbel.schedule.window import weight_at
from umbel.training.balancing import gradient_norm, show_step
from umbel.training.guard import Guard
from umbel.training.participation import DummyBatches
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
        the largest task, not of their sum.

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
        work = TaskPasses(self, batches, {name: scales[name] * weights[name] for name in scales})
        self.guard.before(self.runtime.model)
        losses = {}
        for number, name in enumerate(scales, 1):
            with deterministic_task(name):
                losses[name] = work(name, last=last and number == len(scales))
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


class TaskPasses:
    """Forward and backward of the tasks of a composite batch, one at a time.

    Args:
        engine: whose step it is.
        batches: by task; None where this rank has no data.
        factors: on each task's balanced loss: its weight, times its share of the ranks that have data.

    Attributes:
        norms: of each task's gradient on the backbone, where the balancer measures it in this step.
    """

    def __init__(self, engine: Engine, batches: Mapping[str, Batch | None], factors: Mapping[str, float]) -> None:
        self.engine = engine
        self.batches = batches
        self.factors = factors
        self.norms: dict[str, Tensor] = {}
        every = engine.runtime.model.balancer.gradient_every
        self._measure = bool(every) and engine.runtime.steps_done % every == 0

    def __call__(self, name: str, *, last: bool = False) -> Losses:
        """The losses of a task, detached; nothing of its graph is left. With `last` its backward is the step's last."""
        runtime, task, clock = self.engine.runtime, self.engine.tasks[name], self.engine.clock
        with of_step(name, task.config.batch_size, task.config.input_size, "forward"):
            losses = self._losses(name)
        clock.charge("forward", name)
        balancer = runtime.model.balancer
        with of_step(name, task.config.batch_size, task.config.input_size, "backward"), runtime.whole(balancer):
            if self._measure:
                self.norms[name] = gradient_norm(losses.total, runtime.model.backbone)
            weighted = self.factors[name] * balancer.balanced(name, losses.total)
            with of_backward(task):
                runtime.backward(weighted, last=last)
        clock.charge("backward", name)
        return Losses(losses.total.detach(), {part: value.detach() for part, value in losses.parts.items()})

    def _losses(self, name: str) -> Losses:
        runtime, task, batch = self.engine.runtime, self.engine.tasks[name], self.batches[name]
        if batch is None:
            return self.engine.dummy_batches.losses(runtime, task)
        placed = runtime.to_device(batch)
        with of_samples(batch.ids):
            losses = task.loss(runtime.forward(placed.images, name), placed.targets)
        self.engine.dummy_batches.remember(name, batch)
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
