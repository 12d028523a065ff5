"""Forming batches from samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from umbel.contract.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor

    from umbel.contract.types import Sample


def stack_images(samples: Sequence[Sample]) -> Tensor:
    """Stack the images of samples: (B, 3, H, W) uint8, channels last in memory, from B images (H, W, 3) of one size."""
    import torch

    shapes = {sample.image.shape for sample in samples}
    if len(shapes) != 1:
        listed = ", ".join(f"{sample.id} {sample.image.shape}" for sample in samples[:4])
        raise DataError(f"images of a batch differ in shape: {listed}", hint="augment() must return one size")
    stacked = np.stack([sample.image for sample in samples])
    if stacked.dtype != np.uint8 or stacked.ndim != 4 or stacked.shape[-1] != 3:
        raise DataError(
            f"images have shape {stacked.shape[1:]} and type {stacked.dtype}; expected (H, W, 3) uint8",
            where=samples[0].id,
        )
    return torch.from_numpy(stacked).permute(0, 3, 1, 2)  # as decoded; the device turns it round where a recipe asks
