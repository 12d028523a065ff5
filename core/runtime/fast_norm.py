"""Layer norms of timm in bf16 where the model computes in bf16, rather than in fp32 between two casts."""

from __future__ import annotations

from importlib.util import find_spec

import torch
from torch import nn


def wants_fast_norms(device: torch.device, precision: str) -> bool:
    """Whether timm's layers are to keep bf16 in their norms.

    On a GPU autocast runs layer norms in fp32 and what follows casts back. On a CPU it leaves them in bf16 as they are,
    so nothing is won there. Where apex is installed timm would take its kernels, for fp32 tensors and a CPU's as well:
    then they stay as they are.

    Args:
        device: where the model will be.
        precision: "fp32" or "bf16".
    """
    return device.type == "cuda" and precision == "bf16" and find_spec("apex") is None


def make_norms_fast(model: nn.Module) -> None:
    """Have timm's layers norm in bf16 under autocast, as `timm.layers.set_fast_norm` does for layers made after it;
    without autocast they compute as ever."""
    for layer in model.modules():
        if hasattr(layer, "_fast_norm"):
            layer._fast_norm = True  # type: ignore[assignment]
