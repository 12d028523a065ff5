"""Moving batches to a device."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from umbel.contract.types import Batch
from umbel.data.nested import map_tensors


def move_batch(batch: Batch, device: torch.device, memory_format: torch.memory_format) -> Batch:
    """The batch on a device, its images (B, 3, H, W) in the memory format; what is there already is not copied."""
    images = _moved(device, batch.images)  # as decoded, so that pinned memory is copied by the GPU itself
    images = images.to(memory_format=memory_format)
    targets, rows = map_tensors(partial(_moved, device), (batch.targets, batch.rows))
    return Batch(images, targets, batch.ids, batch.sizes, rows)


def _moved(device: torch.device, tensor: Tensor) -> Tensor:
    return tensor.to(device, non_blocking=True)
