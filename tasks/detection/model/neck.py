"""CSP-PAN: the path-aggregation neck of YOLOv5, called YOLOCSPPAN in PaddleYOLO."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from umbel.tasks.detection.model.blocks import ConvBNAct, CSPLayer


class YOLOCSPPAN(nn.Module):
    """Mixes three levels top-down, then bottom-up; outputs have the shapes of the inputs.

    Args:
        channels: channels of the levels of stride 8, 16 and 32.
        depth_mult: factor on the 3 bottlenecks of every CSP layer, at least one.
    """

    def __init__(self, channels: Sequence[int], depth_mult: float = 1.0) -> None:
        super().__init__()
        c3, c4, c5 = channels
        depth = max(1, round(3 * depth_mult))
        self.lateral5 = ConvBNAct(c5, c4)
        self.top4 = CSPLayer(2 * c4, c4, depth)
        self.lateral4 = ConvBNAct(c4, c3)
        self.top3 = CSPLayer(2 * c3, c3, depth)
        self.down3 = ConvBNAct(c3, c3, kernel=3, stride=2)
        self.bottom4 = CSPLayer(2 * c3, c4, depth)
        self.down4 = ConvBNAct(c4, c4, kernel=3, stride=2)
        self.bottom5 = CSPLayer(2 * c4, c5, depth)

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Three (B, c_i, H/s_i, W/s_i) maps, finest first, to three of the same shapes; sides divisible by 32."""
        f3, f4, f5 = features
        lateral5 = self.lateral5(f5)
        lateral4 = self.lateral4(self.top4(torch.cat((_double(lateral5), f4), dim=1)))
        out3 = self.top3(torch.cat((_double(lateral4), f3), dim=1))
        out4 = self.bottom4(torch.cat((self.down3(out3), lateral4), dim=1))
        out5 = self.bottom5(torch.cat((self.down4(out4), lateral5), dim=1))
        return [out3, out4, out5]


def _double(x: Tensor) -> Tensor:
    return interpolate(x, scale_factor=2.0, mode="nearest")
