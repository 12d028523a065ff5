"""Everything a run leaves behind, compared to the last bit; what depends on the clock is left out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from umbel.checkpoint.read import open_checkpoint
from umbel.training import engine

CLOCK = ("minutes",)


def whole_state(folder: Path) -> dict[str, Any]:
    """Every tensor and every number of a checkpoint, by name."""
    checkpoint = open_checkpoint(folder)
    flat: dict[str, Any] = {}
    for file in sorted(checkpoint.files):
        stem, _, suffix = file.partition(".")
        if suffix == "safetensors":
            flat |= {f"{stem}/{name}": value for name, value in checkpoint.tensors(stem).items()}
    flat |= {f"state/{key}": value for key, value in leaves(checkpoint.state) if key.split("/")[0] not in CLOCK}
    return flat


def leaves(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Names and values of the innermost entries of nested JSON; an empty container is an entry."""
    items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    inner = [(f"{prefix}/{key}" if prefix else str(key), item) for key, item in items]
    if not inner:
        yield prefix, value
    for name, item in inner:
        yield from leaves(item, name)


def differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Names of what is not equal to the bit, or only in one of the two."""
    return sorted(name for name in one.keys() | other.keys() if not _equal(one.get(name), other.get(name)))


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return one.dtype == other.dtype and one.shape == other.shape and _bytes(one) == _bytes(other)
    return type(one) is type(other) and one == other


def _bytes(tensor: Tensor) -> bytes:
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


class StepLog:
    """What each step was given and made: sample ids, a hash of their pixels, and the losses, by step."""

    def __init__(self, monkeypatch: Any) -> None:
        self.given: list[Any] = []
        step = engine.Engine.train_step

        def logged(engine: Any, batches: Any, *arguments: Any, **options: Any) -> Any:
            number = engine.runtime.steps_done
            seen = {
                name: (batch.ids, hashlib.sha256(batch.images.contiguous().numpy().tobytes()).hexdigest())
                for name, batch in batches.items()
            }
            losses = step(engine, batches, *arguments, **options)
            made = {
                name: [float(value.total), *(float(part) for part in value.parts.values())]
                for name, value in losses.items()
            }
            self.given.append((number, seen, made))
            return losses

        monkeypatch.setattr(engine.Engine, "train_step", logged)

    def take(self) -> dict[int, str]:
        """What was logged since the last call, by step."""
        taken, self.given = self.given, []
        return {number: json.dumps([seen, made]) for number, seen, made in taken}
