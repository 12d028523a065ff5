"""The detection head: optional laterals and SPPF, the neck, and one 1x1 convolution a level, as in YOLOv5 7.0.

Legend: B images, A anchors a level, H and W cells, F = 5 + classes fields: tx, ty, tw, th, objectness, classes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from umbel import FeatureSpec
from umbel.tasks.detection.model.blocks import SPPF, ConvBNAct
from umbel.tasks.detection.model.neck import YOLOCSPPAN

STRIDES = (8, 16, 32)

ANCHORS_PER_LEVEL = 3


class YOLOHead(nn.Module):
    """From backbone features to raw maps.

    Args:
        features: what the backbone gives; levels of stride 8, 16 and 32 are used.
        classes: number of classes.
        depth_mult: depth of the neck's CSP layers.
        neck_channels: channels inside the neck, reached by 1x1 blocks; None keeps the backbone's.
        sppf: pool the stride 32 level before the neck.
        bn_eps, bn_momentum: of every batch norm here.

    Raises:
        ValueError: a stride is missing; the message names those there are.
    """

    def __init__(
        self,
        features: FeatureSpec,
        classes: int,
        *,
        depth_mult: float = 1.0,
        neck_channels: Sequence[int] | None = None,
        sppf: bool = False,
        bn_eps: float = 1e-3,
        bn_momentum: float = 0.03,
    ) -> None:
        super().__init__()
        self.levels = tuple(features.level(stride) for stride in STRIDES)
        given = [features.channels[level] for level in self.levels]
        channels = list(neck_channels) if neck_channels is not None else given
        self.laterals = nn.ModuleList(
            nn.Identity() if neck_channels is None else ConvBNAct(c_in, c_out)
            for c_in, c_out in zip(given, channels, strict=True)
        )
        self.pool = SPPF(channels[-1]) if sppf else nn.Identity()
        self.neck = YOLOCSPPAN(channels, depth_mult)
        self.fields = 5 + classes
        predictors = [nn.Conv2d(c, ANCHORS_PER_LEVEL * self.fields, 1) for c in channels]
        self.predictors = nn.ModuleList(predictors)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eps, module.momentum = bn_eps, bn_momentum
        for predictor, stride in zip(predictors, STRIDES, strict=True):
            add_prior(predictor, stride, classes)

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Feature levels (B, C_i, H_i, W_i) to raw maps (B, A, H, W, F), one a level, finest first."""
        maps = [lateral(features[level]) for lateral, level in zip(self.laterals, self.levels, strict=True)]
        maps[-1] = self.pool(maps[-1])
        return [fold_anchors(predictor(x)) for predictor, x in zip(self.predictors, self.neck(maps), strict=True)]


def fold_anchors(raw: Tensor) -> Tensor:
    """(B, A*F, H, W) of a convolution to (B, A, H, W, F)."""
    batch, channels, height, width = raw.shape
    fields = channels // ANCHORS_PER_LEVEL
    return raw.view(batch, ANCHORS_PER_LEVEL, fields, height, width).permute(0, 1, 3, 4, 2).contiguous()


@torch.no_grad()
def add_prior(predictor: nn.Conv2d, stride: int, classes: int) -> None:
    """Shift a predictor's bias, in place, to what is rare: 8 objects in a 640 pixel image, 0.6 of a class each.

    Without it the objectness loss explodes in the first steps; the numbers are those of YOLOv5 7.0.
    """
    if predictor.bias is None:
        raise ValueError("the predictor has no bias")
    fields = predictor.bias.view(ANCHORS_PER_LEVEL, 5 + classes)
    fields[:, 4] += math.log(8 / (640 / stride) ** 2)
    fields[:, 5:] += math.log(0.6 / (classes - 0.99999))
