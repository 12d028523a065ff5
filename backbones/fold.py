"""Frozen batch normalisation as part of the convolution before it.

With fixed statistics, normalising is a scale and a shift a channel: the convolution's own weights can carry both, and
one pass over the activations, forward and backward, is saved. Parameters keep their names and their gradients.
"""

from __future__ import annotations

from typing import Any

import torch
from timm.layers import BatchNormAct2d, Conv2dSame
from timm.layers.conv2d_same import conv2d_same
from torch import Tensor, nn
from torch.nn import functional

from umbel.backbones.shared import PROBE

_CONVOLUTIONS = (nn.Conv2d.forward, Conv2dSame.forward)

_NORMS = (nn.BatchNorm2d.forward, BatchNormAct2d.forward)


class FoldedNorm(nn.Module):
    """What is left of a batch normalisation: its parameters, statistics, dropout and activation.

    Args:
        source: the layer to take over.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, source: nn.BatchNorm2d) -> None:
        super().__init__()
        self.eps = source.eps
        self.weight, self.bias = source.weight, source.bias
        for name, buffer in source.named_buffers(recurse=False):
            self.register_buffer(name, buffer)
        self.drop = getattr(source, "drop", None) or nn.Identity()
        self.act = getattr(source, "act", None) or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Dropout and activation of (B, C, H, W), which the convolution has normalised already."""
        out: Tensor = self.act(self.drop(x))
        return out

    def scale_and_shift(self) -> tuple[Tensor, Tensor]:
        """The normalisation as a factor and a summand a channel, each (C,)."""
        scale = self.weight * torch.rsqrt(self.running_var + self.eps)
        return scale, self.bias - self.running_mean * scale


class FoldedConv2d(nn.Module):
    """A convolution that normalises its output by a layer behind it.

    Args:
        source: the convolution to take over.
        norm: the layer behind it; it stays where it is in the backbone.
    """

    def __init__(self, source: nn.Conv2d, norm: FoldedNorm) -> None:
        super().__init__()
        self.weight, self.bias = source.weight, source.bias
        self.stride, self.padding, self.dilation, self.groups = (
            source.stride,
            source.padding,
            source.dilation,
            source.groups,
        )
        self.same = isinstance(source, Conv2dSame)
        self._norm = (norm,)  # in a tuple: its parameters are listed where they have always been

    def forward(self, x: Tensor) -> Tensor:
        """Normalised convolution of (B, C, H, W)."""
        scale, shift = self._norm[0].scale_and_shift()
        weight = self.weight * scale[:, None, None, None]
        bias = shift if self.bias is None else torch.addcmul(shift, self.bias, scale)
        if self.same:
            out: Tensor = conv2d_same(x, weight, bias, self.stride, self.padding, self.dilation, self.groups)
            return out
        return functional.conv2d(x, weight, bias, self.stride, self.padding, self.dilation, self.groups)


def fold_frozen_norms(backbone: nn.Module) -> None:
    """Replace each convolution and the batch normalisation that alone reads it; others stay as they are."""
    places = {id(child): (parent, name) for parent in backbone.modules() for name, child in parent.named_children()}
    for convolution, norm in _pairs(backbone):
        folded = FoldedNorm(norm)
        for module, replacement in ((norm, folded), (convolution, FoldedConv2d(convolution, folded))):
            parent, name = places[id(module)]
            setattr(parent, name, replacement)


def _pairs(backbone: nn.Module) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Which normalisation reads which convolution, seen by running the backbone once on a small image."""
    made: dict[int, tuple[nn.Conv2d, Tensor, Any]] = {}
    found: list[tuple[nn.Conv2d, nn.BatchNorm2d, Any]] = []
    calls: dict[int, int] = {}
    hooks = []

    def count(module: nn.Module) -> None:
        calls[id(module)] = calls.get(id(module), 0) + 1

    def after_convolution(module: Any, inputs: Any, output: Tensor) -> None:
        count(module)
        made[id(output)] = (module, output, output.grad_fn)

    def before_norm(module: Any, inputs: tuple[Tensor, ...]) -> None:
        count(module)
        source = made.get(id(inputs[0]))
        if source is not None:
            found.append((source[0], module, source[2]))

    for module in backbone.modules():
        if isinstance(module, nn.Conv2d) and type(module).forward in _CONVOLUTIONS and module.padding_mode == "zeros":
            hooks.append(module.register_forward_hook(after_convolution))
        elif (
            isinstance(module, nn.BatchNorm2d)
            and type(module).forward in _NORMS
            and module.affine
            and module.running_mean is not None
        ):
            hooks.append(module.register_forward_pre_hook(before_norm))
    training = {module: module.training for module in backbone.modules()}
    try:
        with torch.enable_grad():
            levels = backbone.eval()(torch.zeros(1, 3, PROBE, PROBE))
    finally:
        for hook in hooks:
            hook.remove()
        for module, mode in training.items():
            module.training = mode
    readers = _readers([level.grad_fn for level in levels])
    return [
        (convolution, norm)
        for convolution, norm, node in found
        if readers.get(node) == 1 and calls[id(convolution)] == calls[id(norm)] == 1
    ]


def _readers(roots: list[Any]) -> dict[Any, int]:
    """How often each node of an autograd graph is read by another or returned."""
    readers: dict[Any, int] = {}
    waiting = list(roots)
    while waiting:
        node = waiting.pop()
        if node is None:
            continue
        readers[node] = readers.get(node, 0) + 1
        if readers[node] == 1:
            waiting.extend(source for source, _ in node.next_functions)
    return readers
