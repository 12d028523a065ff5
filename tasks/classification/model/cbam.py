"""Convolutional block attention module (Woo et al. 2018): channel attention, then spatial attention.

Maps in the order maximum, mean and a batch norm after them, as in the authors' code.

Legend: B images, C channels, h and w cells.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ChannelAttention(nn.Module):
    """Scale each channel by a gate computed from its mean and its maximum.

    Args:
        channels: channels of the map.
        reduction: the shared two-layer network narrows to channels // reduction, at least 1.
    """

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        hidden = max(1, channels // reduction)
        self.mlp = nn.Sequential(nn.Linear(channels, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, channels))

    def forward(self, x_BChw: Tensor) -> Tensor:
        """(B, C, h, w) to the same shape."""
        gate_BC: Tensor = self.mlp(x_BChw.mean(dim=(2, 3))) + self.mlp(x_BChw.amax(dim=(2, 3)))
        return x_BChw * gate_BC.sigmoid()[:, :, None, None]


class SpatialAttention(nn.Module):
    """Scale each cell by a gate computed from the maximum and mean over channels around it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, 7, padding=3, bias=False)
        self.norm = nn.BatchNorm2d(1, momentum=0.01)

    def forward(self, x_BChw: Tensor) -> Tensor:
        """(B, C, h, w) to the same shape."""
        pooled_B2hw = torch.cat([x_BChw.amax(dim=1, keepdim=True), x_BChw.mean(dim=1, keepdim=True)], dim=1)
        gate_B1hw: Tensor = self.norm(self.conv(pooled_B2hw)).sigmoid()
        return x_BChw * gate_B1hw


class Cbam(nn.Sequential):
    """Channel attention, then spatial attention; (B, C, h, w) to the same shape."""

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__(ChannelAttention(channels, reduction), SpatialAttention())
