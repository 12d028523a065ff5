"""An exponential moving average of the weights, evaluated and saved in their place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """Averages parameters; buffers such as BatchNorm statistics are averaged when floating and copied otherwise.

    Args:
        model: whose state is averaged.
        decay: weight of the past, reached gradually: min(decay, (1 + steps) / (10 + steps)).
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = model
        self.decay = decay
        self.steps = 0
        self.shadow = {name: value.detach().clone() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def update(self) -> None:
        """Take the model's present weights into the average."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        averaged: list[Tensor] = []
        present: list[Tensor] = []
        for name, value in self.model.state_dict().items():
            if value.is_floating_point():
                averaged.append(self.shadow[name])
                present.append(value)
            else:
                self.shadow[name].copy_(value)
        torch._foreach_lerp_(averaged, present, 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The model holds the EMA weights inside the block and its own again after it."""
        state = self.model.state_dict()
        own = {name: value.clone() for name, value in state.items()}
        with torch.no_grad():
            for name, value in state.items():
                value.copy_(self.shadow[name])
        try:
            yield
        finally:
            with torch.no_grad():
                for name, value in state.items():
                    value.copy_(own[name])


class ShardAverage:
    """The same average over what one rank holds of the weights: no communication, and 1/N of the memory.

    Args:
        shards: this rank's fp32 tensors, which the optimizer steps.
        buffers: floating buffers, whole on each rank.
        decay: see `WeightAverage`.

    Attributes:
        buffers: the averages of the buffers.
    """

    def __init__(self, shards: list[Tensor], buffers: list[Tensor], decay: float) -> None:
        self.present = [tensor.detach() for tensor in (*shards, *buffers)]
        self.decay = decay
        self.steps = 0
        self.shadow = [tensor.clone() for tensor in self.present]
        self.buffers = self.shadow[len(shards) :]

    @torch.no_grad()
    def update(self) -> None:
        """Take the present weights into the average."""
        self.steps += 1
        torch._foreach_lerp_(self.shadow, self.present, 1 - min(self.decay, (1 + self.steps) / (10 + self.steps)))

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the average and the present weights."""
        for mine, theirs in zip(self.shadow, self.present, strict=True):
            kept = theirs.clone()
            theirs.copy_(mine)
            mine.copy_(kept)

    @torch.no_grad()
    def restart(self) -> None:
        """Let the average be the present weights."""
        for mine, theirs in zip(self.shadow, self.present, strict=True):
            mine.copy_(theirs)
