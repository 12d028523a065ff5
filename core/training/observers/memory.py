"""Memory in use, for progress lines."""

from __future__ import annotations

import torch

GIB = 2**30


def memory_text(device: torch.device) -> str:
    """Peak memory of the accelerator since training last began or went on after an evaluation, else what this process
    holds now; "" where the system does not say."""
    if device.type == "cuda":
        return f"{torch.cuda.max_memory_allocated(device) / GIB:.1f} GiB on {device.type}"
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as status:
            held = next(line for line in status if line.startswith("VmRSS:"))
        return f"{int(held.split()[1]) / 2**20:.1f} GiB"
    except (OSError, StopIteration, ValueError, IndexError):
        return ""
