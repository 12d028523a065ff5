"""Balancers that divide by a running scale: of the losses, or of their gradients on the backbone.

The factors are normalised to a mean of 1 over the tasks seen so far, so that changing the balancer does not change the
learning rate, clipping and weight decay behind the recipe's back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from umbel.contract.balancer import Balancer
from umbel.contract.options import check_range, option

_SMALLEST = 1e-8


@dataclass
class LossScaleOptions:
    """Every task's loss is divided by its running mean."""

    decay: float = option(0.99, "weight of the past in the running mean; the first steps are averaged evenly")

    def __post_init__(self) -> None:
        check_range("decay", self.decay, 0.0, 0.999999)


@dataclass
class GradientNormOptions:
    """Every task's loss is divided by the running norm of its gradient on the backbone."""

    every: int = option(20, "steps between measurements; each costs one more backward pass through the backbone a task")
    decay: float = option(0.5, "weight of the past in the running mean; the first measurements are averaged evenly")

    def __post_init__(self) -> None:
        check_range("every", self.every, 1, 10**6)
        check_range("decay", self.decay, 0.0, 0.999999)


class _ScaleBalancer(Balancer):
    def __init__(self, options: object, tasks: tuple[str, ...], decay: float) -> None:
        super().__init__(options, tasks)
        self.decay = decay
        for task in tasks:
            self.register_buffer(f"mean_{task}", torch.zeros(1))
            self.register_buffer(f"count_{task}", torch.zeros(1))

    def factor(self, task: str) -> Tensor:
        """(1 / mean of the task) over the mean of that of all tasks seen so far; 1 for a task not seen yet."""
        means = torch.cat([self.get_buffer(f"mean_{name}") for name in self.tasks]).float()
        seen = torch.cat([self.get_buffer(f"count_{name}") for name in self.tasks]) > 0
        inverse = torch.where(seen, 1 / means.clamp(min=_SMALLEST), 0.0)
        factors = inverse * seen.sum() / inverse.sum().clamp(min=_SMALLEST)
        return torch.where(seen, factors, 1.0)[self.tasks.index(task)]

    @torch.no_grad()
    def _update(self, values: Mapping[str, Tensor]) -> None:
        for task, value in values.items():
            mean, count = self.get_buffer(f"mean_{task}"), self.get_buffer(f"count_{task}")
            past = (count / (count + 1)).clamp(max=self.decay)
            mean.copy_(past * mean + (1 - past) * value.abs())
            count.add_(1)


class LossScaleBalancer(_ScaleBalancer):
    """Loss-scale normalisation: factors are inverse to the running mean of each task's absolute loss."""

    Options = LossScaleOptions

    def __init__(self, options: LossScaleOptions, tasks: tuple[str, ...]) -> None:
        super().__init__(options, tasks, options.decay)

    def observe(self, losses: Mapping[str, Tensor], gradient_norms: Mapping[str, Tensor]) -> None:
        self._update(losses)


class GradientNormBalancer(_ScaleBalancer):
    """Equal gradient norms: factors are inverse to the running norm of each task's gradient on the backbone."""

    Options = GradientNormOptions

    def __init__(self, options: GradientNormOptions, tasks: tuple[str, ...]) -> None:
        super().__init__(options, tasks, options.decay)
        self.gradient_every = options.every

    def observe(self, losses: Mapping[str, Tensor], gradient_norms: Mapping[str, Tensor]) -> None:
        self._update(gradient_norms)
