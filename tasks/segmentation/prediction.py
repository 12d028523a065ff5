"""What the segmentation task predicts."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class LabelMap:
    """A class for every pixel.

    Args:
        labels: (H, W) uint8 class ids, on the CPU.
    """

    labels: Tensor
