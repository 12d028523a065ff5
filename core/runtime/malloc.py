"""Keeping freed memory: on a CPU every activation is allocated and freed again in every step."""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD = -1  # <malloc.h>

_M_MMAP_THRESHOLD = -3

_LARGEST_MMAP_THRESHOLD = 32 * 2**20  # glibc refuses more on 64-bit machines

_NEVER_TRIM = 2**31 - 1


def keep_freed_memory() -> bool:
    """Ask glibc to hand freed blocks of up to 32 MiB out again in place of returning them to the kernel.

    By default such memory goes back when enough of it is free, and the kernel clears the pages anew in the next step: a
    quarter of the time of a step on a CPU (docs/benchmarks.md).

    Returns:
        Whether the C library took the setting; other libraries than glibc are left as they are.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD)) and bool(mallopt(_M_TRIM_THRESHOLD, _NEVER_TRIM))
