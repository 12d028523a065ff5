"""Gradients averaged over the ranks bucket by bucket, while the last backward of a step still runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from umbel.contract.errors import TrainingError
from umbel.runtime.local import fill_absent

BUCKET = 8 * 2**20  # bytes: the last one is sent when the backward is over, and a small backbone needs several


@dataclass
class _Sent:
    """A bucket under way: the gradients one after another, what is sent of them, and the message."""

    flat: Tensor
    message: Tensor
    work: Any


class GradientBuckets:
    """Averages gradients as DDP does: buckets in the order in which a backward tends to finish them, each sent as soon
    as it and all before it are complete, so that messages have one order on all ranks, whenever each sends them.

    A rank sends early only where the graph has shown before, in a backward that sent nothing early, which parameters
    get a gradient, and each just one: reentrant checkpoints hide parameters from the graph and may add several times.

    Args:
        parameters: by name, those that are trained, in the order of the model; the same on all ranks.
        world_size: number of ranks.
        dtype: of what is sent.
        capacity: bytes of a bucket, unless one parameter takes more.

    Attributes:
        begun: the last backward of a step has begun.
    """

    def __init__(
        self, parameters: Mapping[str, Tensor], world_size: int, dtype: torch.dtype, capacity: int = BUCKET
    ) -> None:
        self.parameters = list(parameters.values())
        self.names = {id(parameter): name for name, parameter in parameters.items()}
        self.world_size = world_size
        self.dtype = dtype
        self.buckets = _split(self.parameters, capacity) if world_size > 1 else []
        self.begun = False
        self._norm: Tensor | None = None  # once the gradients are averaged
        self._strides = {id(p): torch.empty_like(p, device="meta").stride() for p in self.parameters}  # dense
        self._sent: list[_Sent] = []
        self._missing: list[set[int]] = []  # by bucket, the parameters whose gradient the running backward still adds
        self._added: dict[int, int] = {}  # in the running backward, by parameter
        self._running = self._early = False
        self._shown: set[frozenset[int]] = set()  # what graphs had, before backwards that did as they had shown
        self._place = {id(p): number for number, bucket in enumerate(self.buckets) for p in bucket}
        for bucket in self.buckets:
            for parameter in bucket:
                parameter.register_post_accumulate_grad_hook(self._after_adding)  # type: ignore[no-untyped-call]

    @contextmanager
    def sending(self, loss: Tensor) -> Iterator[None]:
        """Within it the step's last backward runs, which starts from this loss."""
        used = _parameters_of(loss).intersection(self._place) if self.buckets else frozenset()
        self._missing = [set(used.intersection(map(id, bucket))) for bucket in self.buckets]
        self._added = {}
        self.begun, self._running, self._early = True, True, used in self._shown
        self._send_complete()
        try:
            yield
        finally:
            self._running = False
        if self._added == dict.fromkeys(used, 1):
            self._shown.add(used)
        late = [self.names[key] for key, times in self._added.items() if times != (key in used)]
        if late and self._early:
            raise TrainingError(
                f"{late[0]} got a gradient that the loss's graph did not show, when its bucket may have been sent",
                where="deepspeed.zero_optimization.stage=0",
                hint="choose stage 1, which sends after the last backward",
            )

    def norm(self) -> Tensor:
        """The norm of the step's gradients, which the first call averages over the ranks; every rank must call it."""
        if self._norm is None:
            self._finish()
            fill_absent(self.parameters)
            gradients = [p.grad for p in self.parameters if p.grad is not None]
            self._norm = torch.nn.utils.get_total_norm(gradients)
        return self._norm

    def forget(self) -> None:
        """The step is over, taken or not."""
        for sent in self._sent:
            sent.work.wait()
        self._sent = []
        self.begun, self._norm = False, None

    def _finish(self) -> None:
        self._missing = [set() for _ in self.buckets]
        self._early = True
        self._send_complete()
        for bucket, sent in zip(self.buckets, self._sent, strict=True):
            sent.work.wait()
            if sent.message is not sent.flat:
                sent.flat.copy_(sent.message)
            sent.flat.mul_(1 / self.world_size)
            for parameter, gradient in zip(bucket, self._views(sent.flat, bucket), strict=True):
                parameter.grad = gradient
        self._sent = []

    def _after_adding(self, parameter: Tensor) -> None:
        if self._running:
            key = id(parameter)
            self._added[key] = self._added.get(key, 0) + 1
            self._missing[self._place[key]].discard(key)
            self._send_complete()

    @torch.no_grad()
    def _send_complete(self) -> None:
        while self._early and len(self._sent) < len(self.buckets) and not self._missing[len(self._sent)]:
            bucket = self.buckets[len(self._sent)]
            flat = bucket[0].new_empty(sum(parameter.numel() for parameter in bucket))
            for parameter, place in zip(bucket, self._views(flat, bucket), strict=True):
                if parameter.grad is None:
                    place.zero_()
                else:
                    place.copy_(parameter.grad)
            message = flat.to(self.dtype)
            self._sent.append(_Sent(flat, message, dist.all_reduce(message, async_op=True)))

    def _views(self, flat: Tensor, bucket: list[Tensor]) -> list[Tensor]:
        """Parts of a flat tensor, each of a parameter's shape and memory format."""
        parts = torch.split(flat, [parameter.numel() for parameter in bucket])
        return [part.as_strided(p.shape, self._strides[id(p)]) for part, p in zip(parts, bucket, strict=True)]


def _split(parameters: list[Tensor], capacity: int) -> list[list[Tensor]]:
    """From the last to the first, each bucket of one type."""
    buckets: list[list[Tensor]] = []
    size = 0
    for parameter in reversed([p for p in parameters if p.numel()]):
        own = parameter.numel() * parameter.element_size()
        if not buckets or size + own > capacity or parameter.dtype != buckets[-1][0].dtype:
            buckets.append([])
            size = 0
        buckets[-1].append(parameter)
        size += own
    return buckets


def _parameters_of(loss: Tensor) -> frozenset[int]:
    """Ids of the leaves that a backward from here adds gradients to, as far as its graph shows."""
    found: set[int] = set()
    waiting, seen = [loss.grad_fn], {loss.grad_fn, None}
    while waiting:
        node = waiting.pop()
        variable = getattr(node, "variable", None)
        if variable is not None:
            found.add(id(variable))
        for following, _ in node.next_functions if node is not None else ():
            if following not in seen:
                seen.add(following)
                waiting.append(following)
    return frozenset(found)
