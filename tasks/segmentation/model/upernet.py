"""UPerNet (Xiao et al. 2018): pyramid pooling on the coarsest level, a feature pyramid, and one fused map.

Widths, order and norms are those of mmsegmentation 1.2.2, where PaddleSeg's differ.

Legend: B images, C channels, K classes, h and w cells.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from umbel.tasks.segmentation.model.blocks import Classifier, ConvModule, pool_to_grid, upsample

POOL_SCALES = (1, 2, 3, 6)


class PyramidPooling(nn.Module):
    """Context of a map at several pooled sizes (PSPNet), fused into `width` channels.

    Args:
        channels: channels of the map.
        width: channels of each branch and of the result.
        norm: "batch" or "group".
        scales: sides of the pooled maps, in cells.
    """

    def __init__(self, channels: int, width: int, norm: str, scales: Sequence[int] = POOL_SCALES) -> None:
        super().__init__()
        self.scales = tuple(scales)
        self.branches = nn.ModuleList(ConvModule(channels, width, 1, norm) for _ in self.scales)
        self.fuse = ConvModule(channels + len(self.scales) * width, width, 3, norm)

    def forward(self, x_BChw: Tensor) -> Tensor:
        """(B, C, h, w) to (B, width, h, w)."""
        pooled = [
            upsample(branch(pool_to_grid(x_BChw, scale)), x_BChw.shape[-2:])
            for branch, scale in zip(self.branches, self.scales, strict=True)
        ]
        fused: Tensor = self.fuse(torch.cat([x_BChw, *pooled], dim=1))
        return fused


class UPerNet(nn.Module):
    """Class logits at the resolution of the finest level.

    Args:
        channels: channels of the feature levels, finest first.
        classes: number of classes.
        width: channels of the decoder.
        dropout: channel dropout before the classifier.
        norm: "batch" or "group".
    """

    def __init__(self, channels: Sequence[int], classes: int, width: int, dropout: float, norm: str) -> None:
        super().__init__()
        *finer, coarsest = channels
        self.pooling = PyramidPooling(coarsest, width, norm)
        self.laterals = nn.ModuleList(ConvModule(level, width, 1, norm) for level in finer)
        self.outputs = nn.ModuleList(ConvModule(width, width, 3, norm) for _ in finer)
        self.fuse = ConvModule(len(channels) * width, width, 3, norm)
        self.classifier = Classifier(width, classes, dropout)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """One (B, C_i, h_i, w_i) map a level to (B, K, h_0, w_0) logits."""
        upper = self.pooling(features[-1])
        pyramid = [upper]
        for level in reversed(range(len(self.laterals))):
            lateral = self.laterals[level](features[level])
            upper = lateral + upsample(upper, lateral.shape[-2:])
            pyramid.insert(0, self.outputs[level](upper))
        size = pyramid[0].shape[-2:]
        logits: Tensor = self.classifier(self.fuse(torch.cat([upsample(level, size) for level in pyramid], dim=1)))
        return logits
