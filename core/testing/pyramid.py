"""The backbone that tasks are tested on: four convolutions, levels of strides 4, 8, 16 and 32, built in
milliseconds."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from umbel.contract.backbone import Backbone
from umbel.contract.options import option
from umbel.contract.types import FeatureSpec

STRIDES = (4, 8, 16, 32)


@dataclass
class PyramidOptions:
    """Options of the backbone."""

    widths: list[int] = option([8, 12, 16, 20], "channels of the levels of strides 4, 8, 16 and 32")


class Pyramid(Backbone):
    """Plain convolutions with group norm: no statistics, so that training and evaluation agree."""

    Options = PyramidOptions

    def __init__(self, options: PyramidOptions) -> None:
        super().__init__()
        self.spec = FeatureSpec(tuple(options.widths), STRIDES)
        self.mean, self.std = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
        before = [3, *options.widths[:-1]]
        strides = [4, 2, 2, 2]
        self.stages = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(inside, outside, 2 * stride - 1, stride, stride - 1), nn.GroupNorm(1, outside), nn.SiLU()
            )
            for inside, outside, stride in zip(before, options.widths, strides, strict=True)
        )

    def forward(self, images: Tensor, task: str) -> tuple[Tensor, ...]:
        """One (B, C_i, H/s_i, W/s_i) map a level."""
        levels = []
        for stage in self.stages:
            images = stage(images)
            levels.append(images)
        return tuple(levels)
