"""Every rank runs the same tasks in the same order; one without data for a task runs a dummy batch whose loss is 0.

Collectives are matched by order, so ranks that differ would hang or, worse, add up gradients of different heads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from umbel.contract.errors import TrainingError
from umbel.contract.randomness import keyed_seed
from umbel.contract.task import Task
from umbel.contract.types import Batch, Losses
from umbel.runtime.base import Runtime

UNKNOWN = -1  # in place of the plan, where a rank cannot say what it runs


@dataclass(frozen=True)
class Participation:
    """Who takes part in a composite batch.

    Args:
        scales: its tasks, each with the factor on this rank's loss.
        even: every rank has data for each of them.
    """

    scales: dict[str, float]
    even: bool


def participation_row(tasks: Mapping[str, Task[Any]], batches: Mapping[str, Batch | None] | None) -> list[int]:
    """What a rank tells the others of its composite batch: the plan's hash, and by task whether it has data."""
    if batches is None:
        return [UNKNOWN] + [0] * len(tasks)
    plan = keyed_seed(*batches) >> 2  # fits a signed 64-bit number
    return [plan, *(int(batches.get(name) is not None) for name in tasks)]


def participation(
    runtime: Runtime,
    tasks: Mapping[str, Task[Any]],
    batches: Mapping[str, Batch | None],
    rows: Sequence[Sequence[int]],
) -> Participation:
    """Who takes part in a composite batch, from the rows of all ranks.

    Gradients are averaged over all ranks; W / (ranks with data) makes that the mean over those that have some. A task
    that no rank has data for rests.

    Raises:
        TrainingError: on all ranks, if they do not run the same tasks.
    """
    if any(row[0] != rows[0][0] for row in rows):
        raise TrainingError(
            "the ranks do not agree on the tasks of this step",
            where=f"rank {runtime.rank}: {', '.join(batches) or 'no task'}",
            hint="start all of them with the same recipe, overrides and data",
        )
    having = dict(zip(tasks, (sum(column) for column in list(zip(*rows, strict=True))[1:]), strict=True))
    scales = {
        name: runtime.world_size / having[name] if batch is not None else 0.0
        for name, batch in batches.items()
        if having[name]
    }
    return Participation(scales, even=all(having[name] == runtime.world_size for name in scales))


class DummyBatches:
    """Dummy batches whose loss is 0, for those that a rank does not have (uneven inputs, as torch's `Join`)."""

    def __init__(self) -> None:
        self._last: dict[str, Batch] = {}

    def remember(self, name: str, batch: Batch) -> None:
        """The loss of the last real batch touches the weights that the other ranks' losses touch."""
        self._last[name] = batch

    def losses(self, runtime: Runtime, task: Task[Any]) -> Losses:
        """A loss of 0 with a gradient of 0 for the same weights as a real one; batch statistics stay as they are."""
        known = self._last.get(task.name)
        with unmoved(runtime.model):
            if known is not None:
                placed = runtime.to_device(known)
                return Losses(0.0 * task.loss(runtime.forward(placed.images, task.name), placed.targets).total)
            images = torch.zeros((2, 3, *task.config.input_size), dtype=torch.uint8, device=runtime.device)
            return _of_outputs(runtime.forward(images, task.name))


def dummy_losses(runtime: Runtime, features: tuple[Tensor, ...], task: str) -> Losses:
    """A loss of 0 that reaches every weight of a head, from any features."""
    with unmoved(runtime.model):
        return _of_outputs(runtime.head(features, task))


@contextmanager
def unmoved(model: nn.Module) -> Iterator[None]:
    """After the block the buffers are as before it, such as batch statistics."""
    buffers = list(model.buffers())
    before = [buffer.clone() for buffer in buffers]
    yield
    for buffer, value in zip(buffers, before, strict=True):
        buffer.data.copy_(value)  # unseen by autograd: batch normalisation keeps them for its backward pass


def _of_outputs(output: Any) -> Losses:
    return Losses(0.0 * torch.stack([tensor.float().mean() for tensor in _tensors(output)]).sum())


def _tensors(output: Any) -> Iterator[Tensor]:
    if isinstance(output, Tensor):
        if output.is_floating_point():
            yield output
    elif isinstance(output, Mapping):
        for value in output.values():
            yield from _tensors(value)
    elif isinstance(output, (list, tuple)):
        for value in output:
            yield from _tensors(value)
