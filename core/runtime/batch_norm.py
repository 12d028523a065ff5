"""Batch statistics that all ranks share where they are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class BatchStatistics:
    """The buffers of BatchNorm: where they are read, all ranks have their mean over the ranks, and so judge and save
    the same. DeepSpeed would leave each rank its own.

    A training forward pass does not read them, and each step moves them linearly: the mean of what the ranks have after
    many steps is what averaging after every step would give, but for rounding. This holds while every rank moves them
    alike; around a composite batch for which some rank lacks data they are averaged before it and after it. Other
    buffers may be read in training, and are averaged after every step.

    Args:
        model: of which every rank has one.
        world_size: number of ranks.

    Attributes:
        tensors: running means and variances, then other floating buffers that are saved.
        deferred: how many of them are averaged late.
    """

    def __init__(self, model: nn.Module, world_size: int) -> None:
        self.world_size = world_size
        state = model.state_dict(keep_vars=True)
        self._norms = [module for module in model.modules() if _is_batch_norm(module)]
        running = {id(buffer) for module in self._norms for buffer in module.buffers(recurse=False)}
        buffers = [buffer for name, buffer in model.named_buffers() if name in state]
        late = [buffer for buffer in buffers if id(buffer) in running]
        soon = [buffer for buffer in buffers if id(buffer) not in running]
        self._late, self._late_counters = _floating(late), _counting(late)
        self._soon, self._soon_counters = _floating(soon), _counting(soon)
        self.tensors = self._late + self._soon
        self.deferred = len(self._late)
        self._apart = False  # the ranks' running statistics may differ
        self._uneven = False  # and not all ranks have moved theirs in the last composite batch

    def begin_batch(self, *, even: bool, averages: Sequence[Tensor] = ()) -> None:
        """To be called before the forward passes of a composite batch; every rank must call it.

        Args:
            even: every rank has data for each of its tasks.
            averages: see `averaged`.
        """
        read = self._apart and any(not module.training for module in self._norms)  # a layer was frozen meanwhile
        if not even or self._uneven or read:
            self._average(averages)
        self._apart, self._uneven = self.world_size > 1, not even

    def after_step(self) -> None:
        """To be called after every step; every rank must call it."""
        self._reduce(self._soon, self._soon_counters)

    @contextmanager
    def averaged(self, averages: Sequence[Tensor] = ()) -> Iterator[None]:
        """Inside the block running statistics may be read: they are those of all ranks. After it each rank has its own
        again, so that training goes on as if they had not been read. Every rank must enter it.

        Args:
            averages: this rank's own moving averages of the first `deferred` of `tensors`.
        """
        if not self._apart:
            yield
            return
        held = [*self._late, *averages, *self._late_counters]
        own = [tensor.clone() for tensor in held]
        self._reduce([*self._late, *averages], self._late_counters)
        try:
            yield
        finally:
            _take(held, own)

    def state(self, averages: Sequence[Tensor] = ()) -> Tensor:
        """What this rank alone holds, 1-dimensional and exact in float64 on the CPU; empty where all hold the same."""
        if not (self._apart and self._late):
            return torch.zeros(0, dtype=torch.float64)
        held = [*self._late, *averages, *self._late_counters]
        return torch.cat([*(tensor.detach().flatten().double().cpu() for tensor in held), torch.tensor([self._uneven])])

    def load_state(self, state: Tensor, averages: Sequence[Tensor] = ()) -> None:
        """Take over what `state` gave; of other layers or averages nothing."""
        held = [*self._late, *averages, *self._late_counters]
        if len(state) != 1 + sum(tensor.numel() for tensor in held):
            return
        *parts, uneven = torch.split(state, [*(tensor.numel() for tensor in held), 1])
        _take(held, [part.view_as(tensor) for part, tensor in zip(parts, held, strict=True)])
        self._apart, self._uneven = True, bool(uneven)

    def _average(self, averages: Sequence[Tensor]) -> None:
        if self._apart:
            self._reduce([*self._late, *averages], self._late_counters)
        self._apart = False

    @torch.no_grad()
    def _reduce(self, floating: Sequence[Tensor], counting: Sequence[Tensor]) -> None:
        if self.world_size == 1:
            return
        for buffers, operation in ((floating, dist.ReduceOp.SUM), (counting, dist.ReduceOp.MAX)):
            if not buffers:
                continue
            flat = torch.cat([buffer.flatten() for buffer in buffers])
            dist.all_reduce(flat, operation)
            if operation == dist.ReduceOp.SUM:
                flat /= self.world_size
            parts = torch.split(flat, [buffer.numel() for buffer in buffers])
            for buffer, part in zip(buffers, parts, strict=True):
                buffer.copy_(part.view_as(buffer))


def _is_batch_norm(module: nn.Module) -> bool:
    """The layers of torch and timm, and others that say `trains_on_batch_statistics`: a layer that reads its running
    statistics in training, such as batch renormalisation, would be another on each rank."""
    kind = type(module)
    known = isinstance(module, _BatchNorm) and kind.forward.__module__.partition(".")[0] in ("torch", "timm")
    return known or bool(getattr(kind, "trains_on_batch_statistics", False))


@torch.no_grad()
def _take(held: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    for tensor, value in zip(held, values, strict=True):
        tensor.copy_(value)


def _floating(buffers: Sequence[Tensor]) -> list[Tensor]:
    return [buffer for buffer in buffers if buffer.is_floating_point()]


def _counting(buffers: Sequence[Tensor]) -> list[Tensor]:
    return [buffer for buffer in buffers if not buffer.is_floating_point()]
