"""The auxiliary head: one convolution on a middle level, for a shorter gradient path in training.

It is mmsegmentation 1.2.2's FCNHead as its UPerNet recipes use it.
"""

from __future__ import annotations

from torch import nn

from umbel.tasks.segmentation.model.blocks import Classifier, ConvModule


class AuxHead(nn.Sequential):
    """FCN (Long et al. 2015): (B, C, h, w) features to (B, K, h, w) logits.

    Args:
        channels: channels of the level.
        classes: number of classes.
        width: channels of the one hidden map.
        dropout: channel dropout before the classifier.
        norm: "batch" or "group".
    """

    def __init__(self, channels: int, classes: int, width: int, dropout: float, norm: str) -> None:
        super().__init__(ConvModule(channels, width, 3, norm), Classifier(width, classes, dropout))
