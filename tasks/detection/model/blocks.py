"""Convolution blocks of the neck, as in YOLOv5 7.0 and PaddleYOLO."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ConvBNAct(nn.Sequential):
    """Convolution without bias, batch norm, SiLU; keeps the size at stride 1."""

    def __init__(self, c_in: int, c_out: int, kernel: int = 1, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, bias=False),
            nn.BatchNorm2d(c_out),
            nn.SiLU(),
        )


class CSPLayer(nn.Module):
    """Cross-stage partial layer: half of the channels pass `depth` bottlenecks, the other half passes by.

    Bottlenecks are a 1x1 and a 3x3 block each, without a residual, as in YOLO necks.
    """

    def __init__(self, c_in: int, c_out: int, depth: int) -> None:
        super().__init__()
        hidden = c_out // 2
        self.main = ConvBNAct(c_in, hidden)
        self.bypass = ConvBNAct(c_in, hidden)
        self.bottlenecks = nn.Sequential(
            *(nn.Sequential(ConvBNAct(hidden, hidden), ConvBNAct(hidden, hidden, 3)) for _ in range(depth))
        )
        self.join = ConvBNAct(2 * hidden, c_out)

    def forward(self, x: Tensor) -> Tensor:
        """(B, c_in, H, W) to (B, c_out, H, W)."""
        joined: Tensor = self.join(torch.cat((self.bottlenecks(self.main(x)), self.bypass(x)), dim=1))
        return joined


class SPPF(nn.Module):
    """Spatial pyramid pooling: three stacked 5x5 max pools, concatenated with their input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduce = ConvBNAct(channels, channels // 2)
        self.pool = nn.MaxPool2d(5, stride=1, padding=2)
        self.join = ConvBNAct(4 * (channels // 2), channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, H, W)."""
        maps = [self.reduce(x)]
        for _ in range(3):
            maps.append(self.pool(maps[-1]))
        joined: Tensor = self.join(torch.cat(maps, dim=1))
        return joined
