"""The paper's classification head (section 2.2): convolution, CBAM, linear layer."""

from __future__ import annotations

from torch import Tensor, nn

from umbel import FeatureSpec
from umbel.tasks.classification.model.cbam import Cbam
from umbel.tasks.classification.options import ClassificationOptions


class ClassificationHead(nn.Module):
    """3x3 convolution, CBAM, global average pooling and a linear layer on the coarsest feature level.

    Args:
        spec: channels and strides of the backbone.
        classes: number of classes.
        options: width, reduction, dropout.
    """

    def __init__(self, spec: FeatureSpec, classes: int, options: ClassificationOptions) -> None:
        super().__init__()
        channels = spec.channels[-1]
        width = options.mid_channels or channels
        conv = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
        self.conv = nn.Sequential(conv, nn.BatchNorm2d(width), nn.ReLU(inplace=True))
        self.attention = Cbam(width, options.reduction)
        self.dropout = nn.Dropout(options.dropout)
        self.classifier = nn.Linear(width, classes)

    def forward(self, features: tuple[Tensor, ...]) -> Tensor:
        """One (B, C_i, h_i, w_i) map a level to (B, K) logits."""
        refined = self.attention(self.conv(features[-1]))
        logits: Tensor = self.classifier(self.dropout(refined.mean(dim=(2, 3))))
        return logits
