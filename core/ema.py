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
        """The model holds the averaged weights inside the block and its own again after it."""
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
