"""The segmentation head: UPerNet, and an auxiliary head while training."""

from __future__ import annotations

from torch import Tensor, nn

from umbel import ConfigError, FeatureSpec
from umbel.tasks.segmentation.model.aux_head import AuxHead
from umbel.tasks.segmentation.model.upernet import UPerNet
from umbel.tasks.segmentation.options import SegmentationOptions


class SegmentationHead(nn.Module):
    """UPerNet on all levels; in training with `aux_weight` > 0 also an FCN on the level of `aux_stride`.

    Args:
        spec: channels and strides of the backbone.
        classes: number of classes.
        options: widths, dropout, norm.

    Raises:
        ConfigError: when the backbone has no level of `aux_stride`.
    """

    def __init__(self, spec: FeatureSpec, classes: int, options: SegmentationOptions) -> None:
        super().__init__()
        self.main = UPerNet(spec.channels, classes, options.width, options.dropout, options.norm)
        self.aux: AuxHead | None = None
        self.aux_level = -1
        if options.aux_weight > 0:
            try:
                self.aux_level = spec.level(options.aux_stride)
            except ValueError as error:
                raise ConfigError(str(error), where="aux_stride", hint="set it, or aux_weight to 0") from None
            channels = spec.channels[self.aux_level]
            self.aux = AuxHead(channels, classes, options.aux_width, options.dropout, options.norm)

    def forward(self, features: tuple[Tensor, ...]) -> Tensor | tuple[Tensor, Tensor]:
        """Logits (B, K, h, w) at the finest stride; a pair with the auxiliary logits while training with them."""
        logits: Tensor = self.main(features)
        if self.aux is None or not self.training:
            return logits
        return logits, self.aux(features[self.aux_level])
