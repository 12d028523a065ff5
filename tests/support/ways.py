"""Two ways through the house, followed while a training runs: a recipe to the first step, its images to the loss."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any

import numpy as np
import torch
from layers import room
from omegaconf import DictConfig

from umbel import Batch, Losses, Sample
from umbel.data.loader import CompositeLoader

LOADER = CompositeLoader.__iter__.__code__
LOOKED_INTO = 4  # levels of containers


class Ways:
    """The rooms whose functions take or return a value on its way, in the order of entering.

    Args:
        recipe: its name on the command line.

    Attributes:
        recipe: from the command line to the loader of training: the name, the recipe, and any section of it.
        images: from the loader of training to the first loss: samples, batches, arrays, tensors.
    """

    def __init__(self, recipe: str) -> None:
        self.name = recipe
        self.recipe: list[str] = []
        self.images: list[str] = []
        self._now: list[str] | None = self.recipe

    def __call__(self, frame: FrameType, event: str, result: Any) -> None:
        """The profile function."""
        module = frame.f_globals.get("__name__", "")
        if self._now is None or event not in ("call", "return") or not module.startswith("umbel."):
            return
        code: CodeType = frame.f_code
        if code is LOADER and event == "call":
            self._now = self.images
        values = frame.f_locals.values() if event == "call" else [result]
        holds = self._is_recipe if self._now is self.recipe else is_image
        if room(module) not in self._now and contains(values, holds):
            self._now.append(room(module))
        if event == "return" and isinstance(result, Losses) and self._now is self.images:
            self._now = None

    def _is_recipe(self, value: Any) -> bool:
        return isinstance(value, DictConfig) or is_section(value) or (isinstance(value, str) and value == self.name)


def is_section(value: Any) -> bool:
    """A recipe, or a section of one: umbel's own, a task's, or a plugin's options."""
    kind = type(value)
    return dataclasses.is_dataclass(kind) and (
        kind.__module__.startswith("umbel.config.")
        or kind.__name__.endswith(("Options", "TaskConfig", "TtaConfig", "ScheduleConfig", "EarlyStopConfig"))
    )


def is_image(value: Any) -> bool:
    """A sample, a batch, or what has the shape of pixels or of features."""
    if isinstance(value, np.ndarray):
        return value.ndim == 3
    return value.ndim == 4 if isinstance(value, torch.Tensor) else isinstance(value, (Sample, Batch))


def contains(values: Iterable[Any], holds: Any, depth: int = 0) -> bool:
    """Whether one of some values is on its way, or a list, tuple or mapping of such."""
    for value in values:
        if holds(value):
            return True
        inner = value.values() if type(value) is dict else value if isinstance(value, (list, tuple)) else ()
        if depth < LOOKED_INTO and contains(inner, holds, depth + 1):
            return True
    return False


@contextmanager
def followed(ways: Ways) -> Iterator[Ways]:
    """Follow both ways within it, in this thread."""
    sys.setprofile(ways)
    try:
        yield ways
    finally:
        sys.setprofile(None)
