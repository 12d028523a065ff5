"""Algorithm 1: every task forward and backward, then one optimizer step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from umbel.contract.randomness import keyed_seed
from umbel.contract.task import Task
from umbel.contract.types import Batch, Losses
from umbel.io.shortage import of_step
from umbel.registry.calls.fault import of_backward, of_samples
from umbel.runtime.base import Runtime
from umbel.schedule.window import weight_at
from umbel.training.balancing import gradient_norm, show_step
from umbel.training.guard import Guard
from umbel.training.participation import StandIns, shares
from umbel.training.step_clock import StepClock


def train_step(
    runtime: Runtime,
    tasks: Mapping[str, Task[Any]],
    batches: Mapping[str, Batch | None],
    weights: Mapping[str, float],
    guard: Guard | None = None,
    clock: StepClock | None = None,
    *,
    stand_ins: StandIns | None = None,
    last: bool = True,
) -> dict[str, Losses]:
    """One composite batch. Each task's graph is freed before the next task's is built, so peak memory is that of the
    largest task, not of their sum.

    Args:
        runtime: steps the model.
        tasks: tasks by name.
        batches: one batch of each task that takes part in this step, in order; None where this rank has no data.
        weights: factor on each task's loss, on top of which comes that of the model's balancer.
        guard: lets the gradients through to the weights, or not; by default it stops at the first bad step.
        clock: takes the time of each part.
        stand_ins: what runs where this rank has no data.
        last: step the optimizer; False only adds to the gradients, before the next composite batch of the same step.

    Returns:
        The losses of each task, detached, before weighting.

    Raises:
        TrainingError: if a loss or gradient is not finite and the guard's policy is to stop; no weight is touched.
    """
    guard = guard or Guard()
    clock = clock or StepClock()
    stand_ins = stand_ins or StandIns()
    share = shares(runtime, tasks, batches)
    balancer = runtime.model.balancer
    measure = bool(balancer.gradient_every) and runtime.steps_done % balancer.gradient_every == 0
    norms: dict[str, Tensor] = {}

    def run(name: str) -> Losses:
        """Forward and backward of a task; nothing of its graph is left."""
        batch = batches[name]
        if batch is None:
            task_losses = stand_ins.losses(runtime, tasks[name])
        else:
            placed = runtime.place(batch)
            with of_samples(batch.ids):
                task_losses = tasks[name].loss(runtime.forward(placed.images, name), placed.targets)
            stand_ins.remember(name, batch)
        clock.charge("forward", name)
        if measure:
            norms[name] = gradient_norm(task_losses.total, runtime.model.backbone)
        with runtime.whole(balancer):
            weighted = share[name] * weights[name] * balancer.balanced(name, task_losses.total)
            with of_backward(tasks[name]):
                runtime.backward(weighted)
        clock.charge("backward", name)
        return Losses(task_losses.total.detach(), {part: value.detach() for part, value in task_losses.parts.items()})

    guard.before(runtime.model)
    losses = {}
    for name in share:
        with of_step(name, tasks[name].config.batch_size):
            losses[name] = run(name)
    if not last:
        guard.keep(batches, losses)
        return losses
    passed = guard.passes(runtime, batches, losses, run)
    clock.charge("wait")
    if passed:
        runtime.step()
        show_step(runtime, {name: value.total for name, value in losses.items()}, norms, share)
    clock.charge("optimizer")
    return losses


def fit(
    runtime: Runtime,
    tasks: Mapping[str, Task[Any]],
    batches: Iterable[Mapping[str, Batch | None]],
    *,
    seed: int,
    start: int,
    after_step: Callable[[int, dict[str, Losses], float], bool | None],
    guard: Guard | None = None,
    clock: StepClock | None = None,
    accumulate: int = 1,
) -> None:
    """Train over composite batches.

    Dropout and drop path draw from a generator seeded by (seed, part, step), so nothing has to be restored on resume;
    the parts of a step are its composite batches on all ranks, however many ranks share them.

    Args:
        runtime: steps the model.
        tasks: tasks by name.
        batches: composite batches, beginning with the first of step `start`; a task that one lacks rests.
        seed: run seed.
        start: steps already done.
        after_step: called with the number of steps done, the losses and the learning rate of the step; true ends it.
        guard: what happens to a step whose losses or gradients are not finite; by default the run stops.
        clock: takes the time of each part of every step.
        accumulate: composite batches a step; their mean gradient is applied.
    """
    clock = clock or StepClock()
    guard, stand_ins = guard or Guard(), StandIns()
    parts: list[dict[str, Losses]] = []
    runtime.model.train()
    clock.start()
    for number, composite in enumerate(batches, start * accumulate):
        step, part = divmod(number, accumulate)
        clock.charge("data")
        torch.manual_seed(keyed_seed(seed, "step", part * runtime.world_size + runtime.rank, step))
        lr = runtime.lr()
        last = part == accumulate - 1
        weights = {name: weight_at(tasks[name].config, step) / accumulate for name in composite}
        parts.append(train_step(runtime, tasks, composite, weights, guard, clock, stand_ins=stand_ins, last=last))
        if last:
            clock.step_done()
            if after_step(step + 1, mean_losses(parts), lr):
                return
            parts = []
            clock.start()


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
            {key: torch.stack([losses.parts[key] for losses in group]).mean() for key in group[0].parts},
        )
        for name, group in grouped.items()
    }
