"""Constant padding in place of TensorFlow's."""

from __future__ import annotations

import pytest
import torch
from timm.layers import Conv2dSame
from torch import nn

from umbel.backbones.padding import fix_padding


@pytest.mark.parametrize("kernel", [1, 2, 3, 5, 7])
@pytest.mark.parametrize("stride", [1, 2, 4])
@pytest.mark.parametrize("dilation", [1, 2])
def test_constant_padding_computes_the_same_where_the_stride_divides_the_size(
    kernel: int, stride: int, dilation: int
) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(Conv2dSame(4, 6, kernel, stride, dilation=dilation, groups=2))
    images = torch.randn(2, 4, 16, 24)
    expected = net(images)
    fix_padding(net)
    assert not any(isinstance(module, Conv2dSame) for module in net.modules())
    torch.testing.assert_close(net(images), expected)
