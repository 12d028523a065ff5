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

    def rows(self, rows: Tensor | None) -> tuple[Tensor, ...]:
        """The levels of some images, all of them for None."""
        return self.leaves if rows is None else tuple(leaf.index_select(0, rows) for leaf in self.leaves)

    def carried(self) -> Tensor | None:
        """A scalar whose backward pass runs through the backbone; None if no head gave a gradient."""
        pairs = [(level, leaf.grad) for level, leaf in zip(self.levels, self.leaves, strict=True)]
        having = [(level, gradient) for level, gradient in pairs if gradient is not None]
        if not having:
            return None
        total: Tensor = _Carry.apply([gradient for _, gradient in having], *(level for level, _ in having))  # type: ignore[no-untyped-call]
        return total
