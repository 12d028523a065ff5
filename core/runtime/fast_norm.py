"""Layer norms of timm in bf16 where the model computes in bf16, rather than in fp32 between two casts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import torch


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


@contextmanager
def fast_norms(*, enabled: bool) -> Iterator[None]:
    """Layers of timm that are made inside the block norm in bf16 under autocast; without it they compute as ever."""
    if not enabled:
        yield
        return
    from timm.layers import is_fast_norm, set_fast_norm

    before = is_fast_norm()
    set_fast_norm(True)
    try:
        yield
    finally:
        set_fast_norm(before)
