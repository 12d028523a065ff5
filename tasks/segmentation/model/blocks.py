"""Convolution blocks of the segmentation heads."""

from __future__ import annotations

from math import gcd

import torch
from torch import Tensor, nn
from torch.nn import functional as F

GROUPS = 32  # of GroupNorm, as in its paper (Wu & He 2018)


class BatchNorm(nn.BatchNorm2d):
    """Batch normalisation that also trains on one value a channel, where a batch has no statistics.

    The 1x1 branch of the pooling pyramid has that with batch size 1; its running statistics normalise it then.
    """

    trains_on_batch_statistics = True  # read in training they are those it began with, the same on every rank

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        if self.training and x.shape[0] * x.shape[2] * x.shape[3] == 1:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return super().forward(x)


class ConvModule(nn.Sequential):
    """Convolution without bias, normalisation, ReLU; keeps height and width.

    Args:
        channels: input channels.
        width: output channels.
        kernel: odd kernel side.
        norm: "batch" or "group".
    """

    def __init__(self, channels: int, width: int, kernel: int, norm: str) -> None:
        conv = nn.Conv2d(channels, width, kernel, padding=kernel // 2, bias=False)
        nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
        normalise = BatchNorm(width) if norm == "batch" else nn.GroupNorm(_groups(width), width)
        super().__init__(conv, normalise, nn.ReLU(inplace=True))


def _groups(width: int) -> int:
    """At most GROUPS, and at least two channels in each: one channel of a 1x1 map has no variance."""
    groups = gcd(GROUPS, width)
    return groups // 2 if groups == width else groups


class Classifier(nn.Sequential):
    """Channel dropout and a 1x1 convolution to class logits, initialised to say little."""

    def __init__(self, width: int, classes: int, dropout: float) -> None:
        conv = nn.Conv2d(width, classes, 1)
        nn.init.normal_(conv.weight, std=0.01)
        nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
        super().__init__(nn.Dropout2d(dropout), conv)


def upsample(x: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
    """Bilinear resize of (B, C, H, W) to a (height, width), half-pixel centres."""
    if not torch.compiler.is_exporting() and tuple(x.shape[-2:]) == tuple(size):
        return x  # an exported graph must not depend on the size that it was traced with
    return F.interpolate(x, size=tuple(size), mode="bilinear", align_corners=False)


def pool_to_grid(x: Tensor, cells: int) -> Tensor:
    """Adaptive average pooling of (B, C, H, W) to (B, C, cells, cells).

    As matrix products in exported graphs, for ONNX has none for sizes that are not known when the graph is written, and
    in torch's deterministic mode, for its gradient has no kernel on a GPU that repeats to the bit.
    """
    if torch.compiler.is_exporting():
        return _bins(x.shape[-2], cells, x) @ x @ _bins(x.shape[-1], cells, x).T
    if not torch.are_deterministic_algorithms_enabled():
        return F.adaptive_avg_pool2d(x, cells)
    with torch.autocast(x.device.type, enabled=False):  # as exact as the kernel, which adds in float32
        exact = x.float()
        return (_bins(x.shape[-2], cells, exact) @ exact @ _bins(x.shape[-1], cells, exact).T).to(x.dtype)


def _bins(length: int, cells: int, like: Tensor) -> Tensor:
    """(cells, length) weights of the mean over bin i: floor(i * length / cells) to ceil((i + 1) * length / cells)."""
    position = torch.arange(length, device=like.device)
    index = torch.arange(cells, device=like.device)[:, None]
    inside = (position >= index * length // cells) & (position < -(-(index + 1) * length // cells))
    weights = inside.to(like.dtype)
    return weights / weights.sum(dim=1, keepdim=True)
