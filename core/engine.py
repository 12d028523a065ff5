"""Algorithm 1: every task forward and backward, then one optimizer step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch

from umbel.guard import Guard
from umbel.randomness import keyed_seed
from umbel.runtime.base import Runtime
from umbel.task import Task
from umbel.timing import StepClock
from umbel.types import Batch, Losses


def train_step(
    runtime: Runtime,
    tasks: Mapping[str, Task[Any]],
    batches: Mapping[str, Batch],
    weights: Mapping[str, float],
    guard: Guard | None = None,
    clock: StepClock | None = None,
) -> dict[str, Losses]:
    """One composite batch. Each task's graph is freed before the next task's is built, so peak memory is that of the
    largest task, not of their sum.

    Args:
        runtime: steps the model.
        tasks: tasks by name.
        batches: one batch of each task that takes part in this step, in order.
        weights: factor on each task's loss.
        guard: lets the gradients through to the weights, or not; by default it stops at the first bad step.
        clock: takes the time of each part.

    Returns:
        The losses of each task, detached, before weighting.

    Raises:
        TrainingError: if a loss or gradient is not finite and the guard's policy is to stop; no weight is touched.
    """
    guard = guard or Guard()
    clock = clock or StepClock()
    losses = {}
    guard.before(runtime.model)
    for name, batch in batches.items():
        placed = runtime.place(batch)
        task_losses = tasks[name].loss(runtime.forward(placed.images, name), placed.targets)
        clock.charge("forward", name)
        runtime.backward(weights[name] * task_losses.total)
        clock.charge("backward", name)
        losses[name] = Losses(
            task_losses.total.detach(), {part: value.detach() for part, value in task_losses.parts.items()}
        )
        del placed, task_losses  # else parts that are no part of the total would keep their graph until the next loss
    passed = guard.passes(runtime, tasks, batches, weights, losses)
    clock.charge("wait")
    if passed:
        runtime.step()
    clock.charge("optimizer")
    return losses


def fit(
    runtime: Runtime,
    tasks: Mapping[str, Task[Any]],
    batches: Iterable[Mapping[str, Batch]],
    *,
    seed: int,
    start: int,
    after_step: Callable[[int, dict[str, Losses], float], None],
    guard: Guard | None = None,
    clock: StepClock | None = None,
) -> None:
    """Train over composite batches.

    Dropout and drop path draw from a generator seeded by (seed, rank, step), so nothing has to be restored on resume.

    Args:
        runtime: steps the model.
        tasks: tasks by name.
        batches: composite batches, beginning with that of step `start`.
        seed: run seed.
        start: steps already done.
        after_step: called with the number of steps done, the losses and the learning rate of the step.
        guard: what happens to a step whose losses or gradients are not finite; by default the run stops.
        clock: takes the time of each part of every step.
    """
    clock = clock or StepClock()
    weights = {name: task.config.weight for name, task in tasks.items()}
    guard = guard or Guard()
    runtime.model.train()
    clock.start()
    for step, composite in enumerate(batches, start):
        clock.charge("data")
        torch.manual_seed(keyed_seed(seed, "step", runtime.rank, step))
        lr = runtime.lr()
        losses = train_step(runtime, tasks, composite, weights, guard, clock)
        clock.step_done()
        after_step(step + 1, losses, lr)
        clock.start()
