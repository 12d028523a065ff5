"""Predictions as JSON types, and whether two of them are the same but for rounding."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor


def to_jsonable(value: Any) -> Any:
    """Dataclasses, tensors, arrays and containers of them as JSON types."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_jsonable(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Mapping):
        return {str(key): to_jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_jsonable(item) for item in value]
    return value


def values_close(one: Any, other: Any, tolerance: float) -> bool:
    """Equal structure, equal integers and text, numbers within the tolerance of the largest beside them."""
    if type(one) is not type(other):
        return False
    if dataclasses.is_dataclass(one):
        return all(
            values_close(getattr(one, f.name), getattr(other, f.name), tolerance) for f in dataclasses.fields(one)
        )
    if isinstance(one, dict):
        return bool(one.keys() == other.keys()) and all(values_close(one[key], other[key], tolerance) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(values_close(a, b, tolerance) for a, b in zip(one, other, strict=True))
    if isinstance(one, (Tensor, np.ndarray, float)):
        first, second = np.asarray(one), np.asarray(other)
        if first.shape != second.shape:
            return False
        if not np.issubdtype(first.dtype, np.floating):
            return bool((first == second).all())
        return bool((np.abs(first - second) <= tolerance * np.abs(first).max(initial=0.0)).all())
    return bool(one == other)
