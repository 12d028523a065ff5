"""Choosing the precision by rule, and computing in it: a recipe does the same on every device of one kind."""

from __future__ import annotations

import torch


def choose_precision(wanted: str, device: torch.device) -> str:
    """ "fp32" or "bf16".

    "auto" is bf16 on a GPU that computes in it and fp32 everywhere else. On a CPU bf16 gains or loses with the layers
    and the processor (0.8 to 1.8 times the time of fp32 were seen in one recipe), so there it is taken only where a
    recipe asks for it.

    Args:
        wanted: "auto", "fp32" or "bf16".
        device: where the model is.
    """
    if wanted != "auto":
        return wanted
    native = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return "bf16" if native else "fp32"


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Inside the block a model computes in "fp32" or "bf16"."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")
