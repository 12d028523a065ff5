"""A balancer as a third party might write one: factors from one learnt vector, a learnt penalty, and a look at it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from umbel import Balancer, hookimpl


@dataclass
class SharesOptions:
    """None."""


class SharesBalancer(Balancer):
    """Factors are a softmax of learnt logits through a layer of its own; the penalty pulls one offset towards 0.3."""

    Options = SharesOptions
    lr_scale = 5.0

    def __init__(self, options: SharesOptions, tasks: tuple[str, ...]) -> None:
        super().__init__(options, tasks)
        self.logits = nn.Parameter(torch.linspace(0.0, 0.5, len(tasks)))
        self.offset = nn.Parameter(torch.zeros(1))
        self.scale = nn.Linear(len(tasks), 1)
        nn.init.constant_(self.scale.weight, 0.2)
        nn.init.constant_(self.scale.bias, 1.0)
        self.register_buffer("seen", torch.zeros(len(tasks)))

    def factor(self, task: str) -> Tensor:
        shares: Tensor = self.logits.softmax(0)
        return self.scale(shares)[0] * len(self.tasks) * shares[self.tasks.index(task)]

    def penalty(self, task: str) -> Tensor:
        return (self.offset - 0.3).square().sum()

    def observe(self, losses: Mapping[str, Tensor], gradient_norms: Mapping[str, Tensor]) -> None:
        assert self.logits.shape == (len(self.tasks),)
        self.get_buffer("seen").add_(self.logits.detach().softmax(0))


class ToyBalancers:
    """What a plugin module of balancers looks like to the loader."""

    @hookimpl
    def umbel_balancers(self) -> dict[str, type[Balancer]]:
        return {"shares": SharesBalancer}
