"""Sizes of memory as people write them: 80G is 80 GiB, as GPUs are sold."""

from __future__ import annotations

import re

_FACTORS = {"": 2**30, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def parse_size(text: str) -> int:
    """Bytes of "80G", "80GiB", "81920M" or "80"; ValueError for anything else and for nothing at all."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?\s*", text, re.IGNORECASE)
    size = round(float(match[1]) * _FACTORS[match[2].upper()]) if match else 0
    if size < 1:
        raise ValueError(f"'{text}' is not a size; write for example 80G")
    return size
