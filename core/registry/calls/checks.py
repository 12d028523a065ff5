"""Checks of results that the rules of several contracts share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from umbel.registry.calls.fault import describe


def is_picture(value: Any) -> bool:
    """Whether it is an (H, W, 3) uint8 image."""
    import numpy as np

    return isinstance(value, np.ndarray) and value.ndim == 3 and value.shape[2] == 3 and value.dtype == np.uint8


def module(instance: Any, result: Any, arguments: tuple[Any, ...]) -> str:
    """What a result is that should be a module; empty if it is."""
    from torch import nn

    return "" if isinstance(result, nn.Module) else describe(result)


def mapping(instance: Any, result: Any, arguments: tuple[Any, ...]) -> str:
    """What a result is that should be a mapping; empty if it is."""
    return "" if isinstance(result, Mapping) else describe(result)


def sequence(instance: Any, result: Any, arguments: tuple[Any, ...]) -> str:
    """What a result is that should be a sequence, and no text; empty if it is."""
    return "" if isinstance(result, Sequence) and not isinstance(result, str) else describe(result)
