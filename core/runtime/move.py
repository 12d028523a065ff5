"""Moving batches to a device."""

from __future__ import annotations

from typing import Any

import torch

from umbel.contract.types import Batch


def move_batch(batch: Batch, device: torch.device, memory_format: torch.memory_format) -> Batch:
    """The batch on a device, its images (B, 3, H, W) in the memory format."""
    images = batch.images.to(device, non_blocking=True, memory_format=memory_format)
    return Batch(images, _move(batch.targets, device), batch.ids, batch.sizes)


def _move(value: Any, device: torch.device) -> Any:
    if isinstance(value, torch.Tensor):
        return value.to(device, non_blocking=True)
    if isinstance(value, dict):
        return {key: _move(item, device) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_move(item, device) for item in value))
    if isinstance(value, (list, tuple)):
        return type(value)(_move(item, device) for item in value)
    return value
