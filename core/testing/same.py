"""Comparing values that core knows nothing about: predictions, targets, outputs."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from torch import Tensor


def difference(left: Any, right: Any, tolerance: float = 0.0, path: str = "value") -> str:
    """Where two nested values differ first, in words; "" if nowhere.

    Args:
        left: dataclasses, mappings, sequences, tensors, arrays and plain values, nested in any way.
        right: what it is compared with.
        tolerance: largest difference of numbers, absolute for those below 1 and relative above.
        path: how the value is called in the answer.
    """
    if isinstance(left, Tensor) and isinstance(right, Tensor):
        return _arrays(left.detach().cpu().double().numpy(), right.detach().cpu().double().numpy(), tolerance, path)
    if type(left) is not type(right):
        return f"{path} is {type(left).__name__} and {type(right).__name__}"
    if isinstance(left, np.ndarray):
        return _arrays(left, right, tolerance, path)
    if isinstance(left, (float, int, np.number)):
        return _arrays(np.asarray(left), np.asarray(right), tolerance, path)
    if dataclasses.is_dataclass(left) and not isinstance(left, type):
        names = [field.name for field in dataclasses.fields(left)]
        return _first(difference(getattr(left, n), getattr(right, n), tolerance, f"{path}.{n}") for n in names)
    if isinstance(left, Mapping):
        if left.keys() != right.keys():
            return f"{path} has the keys {sorted(map(str, left))} and {sorted(map(str, right))}"
        return _first(difference(left[key], right[key], tolerance, f"{path}[{key!r}]") for key in left)
    if isinstance(left, (list, tuple)):
        if len(left) != len(right):
            return f"{path} has {len(left)} and {len(right)} entries"
        pairs = enumerate(zip(left, right, strict=True))
        return _first(difference(a, b, tolerance, f"{path}[{index}]") for index, (a, b) in pairs)
    return "" if left == right else f"{path} is {left!r} and {right!r}"


def arrays_in(value: Any) -> Iterator[np.ndarray | Tensor]:
    """Every array and tensor inside a nested value."""
    if isinstance(value, (np.ndarray, Tensor)):
        yield value
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from arrays_in(getattr(value, field.name))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from arrays_in(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from arrays_in(item)


def _arrays(left: np.ndarray, right: np.ndarray, tolerance: float, path: str) -> str:
    if left.shape != right.shape:
        return f"{path} has the shapes {left.shape} and {right.shape}"
    if left.dtype.kind in "OUS" or tolerance == 0.0:
        equal = np.array_equal(left, right, equal_nan=left.dtype.kind == "f")
        return "" if equal else f"{path} differs{_by(left, right)}"
    close = np.allclose(left.astype(float), right.astype(float), rtol=tolerance, atol=tolerance, equal_nan=True)
    return "" if close else f"{path} differs{_by(left, right)}"


def _by(left: np.ndarray, right: np.ndarray) -> str:
    if left.dtype.kind in "OUS" or not left.size:
        return ""
    largest = float(np.nanmax(np.abs(left.astype(float) - right.astype(float)), initial=0.0))
    return f" by up to {largest:.3g}" if math.isfinite(largest) else ""


def _first(answers: Iterator[str]) -> str:
    return next((answer for answer in answers if answer), "")
