"""One pass of the backbone for several tasks: each head forward and backward in turn, then the backbone backward once.

The gradients are those of Algorithm 1 on the same images, and only one head's graph is alive at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


class _Carry(torch.autograd.Function):
    """A scalar 0 whose backward pass gives each level the gradient that was gathered for it."""

    @staticmethod
    def forward(ctx: Any, gradients: Sequence[Tensor], *levels: Tensor) -> Tensor:
        ctx.gradients = gradients
        return levels[0].new_zeros((), dtype=torch.float32)

    @staticmethod
    def backward(ctx: Any, *scales: Tensor) -> Any:
        (scale,) = scales
        return (None, *(gradient * scale.to(gradient.dtype) for gradient in ctx.gradients))


class SharedFeatures:
    """Feature levels that several heads read, cut off from the backbone until all have given their gradients.

    Args:
        levels: (B, C_i, H/s_i, W/s_i) each, with the backbone's graph.
    """

    def __init__(self, levels: tuple[Tensor, ...]) -> None:
        self.levels = levels
        self.leaves = tuple(level.detach().requires_grad_(level.requires_grad) for level in levels)

    @property
    def reach_back(self) -> bool:
        """Whether gradients of heads have to go through the backbone: not if all of it is frozen."""
        return any(leaf.requires_grad for leaf in self.leaves)

    def rows(self, rows: Tensor | None) -> tuple[Tensor, ...]:
        """The levels of some images, all of them for None."""
        return self.leaves if rows is None else tuple(leaf.index_select(0, rows) for leaf in self.leaves)

    def dummy(self) -> tuple[Tensor, ...]:
        """Features of an image twice, for a head whose labels no image of this rank has."""
        return tuple(torch.cat([leaf[:1], leaf[:1]]) for leaf in self.leaves)

    def reached_by(self, loss: Tensor) -> Tensor:
        """A scalar whose gradient on the backbone is that of a loss; the graphs of both stay."""
        trained = [leaf for leaf in self.leaves if leaf.requires_grad]
        gradients = torch.autograd.grad(loss, trained, retain_graph=True, allow_unused=True) if trained else ()
        found = dict(zip(map(id, trained), gradients, strict=True))
        carried = self._carry([found.get(id(leaf)) for leaf in self.leaves])
        return loss if carried is None else carried

    def carried(self) -> Tensor | None:
        """A scalar whose backward pass runs through the backbone with the heads' gradients; None if there are none."""
        return self._carry([leaf.grad for leaf in self.leaves])

    def _carry(self, gradients: Sequence[Tensor | None]) -> Tensor | None:
        having = [(level, grad) for level, grad in zip(self.levels, gradients, strict=True) if grad is not None]
        if not having:
            return None
        total: Tensor = _Carry.apply([grad for _, grad in having], *(level for level, _ in having))  # type: ignore[no-untyped-call]
        return total
