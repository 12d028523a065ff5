"""Uncertainty weights: how far each task is trusted is learnt with the model."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from umbel.contract.balancer import Balancer
from umbel.contract.options import check_range, option


@dataclass
class UncertaintyOptions:
    """Every task has a learnt log-variance."""

    lr_scale: float = option(10.0, "factor on the learning rate of the log-variances, of which each step moves little")

    def __post_init__(self) -> None:
        check_range("lr_scale", self.lr_scale, 0.0, 1e6)


class UncertaintyBalancer(Balancer):
    """exp(-s) * loss + s with a learnt log-variance s a task, 0 at the start: twice the objective of Kendall, Gal and
    Cipolla (CVPR 2018), so that training begins with the recipe's weights. s settles at the logarithm of the loss."""

    Options = UncertaintyOptions

    def __init__(self, options: UncertaintyOptions, tasks: tuple[str, ...]) -> None:
        super().__init__(options, tasks)
        self.lr_scale = options.lr_scale
        for task in tasks:
            self.register_parameter(f"log_variance_{task}", nn.Parameter(torch.zeros(1)))

    def factor(self, task: str) -> Tensor:
        return torch.exp(-self._log_variance(task))

    def penalty(self, task: str) -> Tensor:
        return self._log_variance(task)

    def _log_variance(self, task: str) -> Tensor:
        return self.get_parameter(f"log_variance_{task}").float().sum()
