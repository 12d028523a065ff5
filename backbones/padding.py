"""Constant padding for the convolutions that TensorFlow's models bring along.

TensorFlow pads so that a convolution of stride s gives ceil(size / s) cells, which timm computes from every input.
Where strides divide the size, as they do in every backbone here, the padding is a constant, and a graph with it can be
traced for inputs of any such size.
"""

from __future__ import annotations

from timm.layers import Conv2dSame
from torch import nn


def fix_padding(module: nn.Module) -> None:
    """Replace every size-dependent convolution below `module`, in place; it keeps its parameters, not their names."""
    for name, child in module.named_children():
        if isinstance(child, Conv2dSame):
            setattr(module, name, _with_constant_padding(child))
        else:
            fix_padding(child)


def _with_constant_padding(conv: Conv2dSame) -> nn.Sequential:
    sides: list[int] = []
    for axis in (1, 0):  # ZeroPad2d takes left, right, top, bottom
        reach = (conv.kernel_size[axis] - 1) * conv.dilation[axis] + 1
        total = max(reach - conv.stride[axis], 0)
        sides += [total // 2, total - total // 2]
    plain = nn.Conv2d(
        conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, 0, conv.dilation, conv.groups,
        conv.bias is not None,
    )  # fmt: skip
    plain.weight, plain.bias = conv.weight, conv.bias
    left, right, top, bottom = sides
    return nn.Sequential(nn.ZeroPad2d((left, right, top, bottom)), plain)
