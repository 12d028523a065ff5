"""Algorithm 1: every task forward and backward, then one optimizer step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch

from umbel.errors import TrainingError
from umbel.randomness import keyed_seed
from umbel.runtime.base import Runtime
from umbel.task import Task
from umbel.types import Batch, Losses


def train_step(
    runtime: Runtime, tasks: Mapping[str, Task[Any]], batches: Mapping[str, Batch], weights: Mapping[str, float]
) -> dict[str, Losses]:
    """One composite batch. Each task's graph is freed before the next task's is built, so peak memory is that of the
    largest task, not of their sum.

    Args:
        runtime: steps the model.
        tasks: tasks by name.
        batches: one batch of each task that takes part in this step, in order.
        weights: factor on each task's loss.

    Returns:
        The losses of each task, detached, before weighting.

    Raises:
        TrainingError: if a loss is not finite; no weight has been touched then.
    """
    losses = {}
    for name, batch in batches.items():
        placed = runtime.place(batch)
        task_losses = tasks[name].loss(runtime.forward(placed.images, name), placed.targets)
        runtime.backward(weights[name] * task_losses.total)
        losses[name] = Losses(
            task_losses.total.detach(), {part: value.detach() for part, value in task_losses.parts.items()}
        )
        del placed, task_losses  # else parts that are no part of the total would keep their graph until the next loss
    _check_finite(losses, batches)
    runtime.step()
    return losses


def fit(
    runtime: Runtime,
    tasks: Mapping[str, Task[Any]],
    batches: Iterable[Mapping[str, Batch]],
    *,
    seed: int,
    start: int,
    after_step: Callable[[int, dict[str, Losses], float], None],
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
    """
    weights = {name: task.config.weight for name, task in tasks.items()}
    runtime.model.train()
    for step, composite in enumerate(batches, start):
        torch.manual_seed(keyed_seed(seed, "step", runtime.rank, step))
        lr = runtime.lr()
        losses = train_step(runtime, tasks, composite, weights)
        after_step(step + 1, losses, lr)


def _check_finite(losses: Mapping[str, Losses], batches: Mapping[str, Batch]) -> None:
    totals = torch.stack([task_losses.total.float() for task_losses in losses.values()])
    if bool(torch.isfinite(totals).all()):
        return
    name = next(name for name, task_losses in losses.items() if not torch.isfinite(task_losses.total))
    raise TrainingError(
        f"the loss of task '{name}' is {losses[name].total.item()}",
        where=f"samples {', '.join(batches[name].ids[:4])}",
        hint="lower optim.lr, lengthen optim.warmup_steps, or check these samples' labels",
    )
