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


def autocast(device: torch.device, precision: str, *, training: bool) -> torch.autocast:
    """Inside the block a model computes in a precision; on a CPU it always predicts in fp32.

    There sums in bf16 depend on how many threads share them, by more than a score may.

    Args:
        device: where the model is.
        precision: "fp32" or "bf16", in which it is trained.
        training: whether it trains or predicts.
    """
    low = precision == "bf16" and (training or device.type != "cpu")
    return torch.autocast(device.type, torch.bfloat16, enabled=low)
