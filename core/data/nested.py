"""The tensors inside nested values: dicts, lists, tuples and dataclasses of them, as targets of batches are."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor


def map_tensors(change: Callable[[Tensor], Tensor], value: Any) -> Any:
    """The same value with every tensor in it changed, one that occurs several times once; what is no container is kept
    as it is."""
    changed: dict[int, Tensor] = {}

    def once(tensor: Tensor) -> Tensor:
        if id(tensor) not in changed:
            changed[id(tensor)] = change(tensor)
        return changed[id(tensor)]

    return _mapped(once, value)


def _mapped(change: Callable[[Tensor], Tensor], value: Any) -> Any:
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, dict):
        return {key: _mapped(change, item) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_mapped(change, item) for item in value))
    if isinstance(value, (list, tuple)):
        return type(value)(_mapped(change, item) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        changed = copy.copy(value)
        for name in (field.name for field in fields(value)):
            object.__setattr__(changed, name, _mapped(change, getattr(value, name)))  # it may be frozen
        return changed
    return value


def tensors_in(value: Any) -> Iterator[Tensor]:
    """Every tensor inside a value, once, in order."""
    found: list[Tensor] = []

    def note(tensor: Tensor) -> Tensor:
        found.append(tensor)
        return tensor

    map_tensors(note, value)
    yield from found


def pinned(tensor: Tensor) -> Tensor:
    """The tensor in pages that the GPU reads by itself, where it is in the host's memory: itself if it is there."""
    on_host = tensor.device.type == "cpu" and tensor.layout is torch.strided
    return tensor if not on_host or tensor.is_pinned() else tensor.pin_memory()
