"""Whether an exported program says what the model says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from umbel.contract.defaults import predictions_close
from umbel.contract.task import Task
from umbel.contract.types import Size, View
from umbel.registry.calls.fallback import as_method
from umbel.workflows.export.graph import ExportGraph, assemble, output_names

TOLERANCE = 1e-4  # of the largest absolute value of an output


@dataclass(frozen=True)
class Parity:
    """One output at one input shape.

    Args:
        output: its name.
        task: the task it is of.
        shape: (B, 3, H, W) of the input.
        difference: largest difference, as a share of the largest absolute value that torch gives.
        predictions: whether the decoded predictions of the task are equal too: the same boxes after NMS, for example.
    """

    output: str
    task: str
    shape: tuple[int, ...]
    difference: float
    predictions: bool

    @property
    def holds(self) -> bool:
        return self.difference <= TOLERANCE and self.predictions


def compare(
    graph: ExportGraph,
    program: Callable[[Tensor], list[Tensor]],
    tasks: Mapping[str, Task[Any]],
    structures: Mapping[str, Any],
    shapes: Sequence[tuple[int, Size]],
) -> list[Parity]:
    """Run a program and torch on the same random images.

    Args:
        graph: what was exported.
        program: gives the flat outputs.
        tasks: decode the outputs.
        structures: of the tasks' outputs.
        shapes: batch size, and height and width, of each trial.
    """
    found = []
    for batch, size in shapes:
        images = _pictures(batch, size)
        with torch.no_grad():
            expected = list(graph(images))
        given = program(images)
        one, other = assemble(expected, structures), assemble(given, structures)
        position = 0
        for name, outputs in output_names(structures).items():
            view = View(size)
            pairs = zip(tasks[name].decode(one[name], view), tasks[name].decode(other[name], view), strict=True)
            same = all(_same(tasks[name], first, second) for first, second in pairs)
            for output in outputs:
                difference = _difference(given[position], expected[position])
                found.append(Parity(output, name, (batch, 3, *size), difference, same))
                position += 1
    return found


def _same(task: Task[Any], one: Any, other: Any) -> bool:
    return bool(as_method(task, "predictions_close", partial(predictions_close, tolerance=TOLERANCE), one, other))


def _pictures(batch: int, size: Size) -> Tensor:
    """(B, 3, H, W) float32 in 0..255: random patches of several sizes, as pictures have structure at several scales."""
    rng = np.random.default_rng(0)
    picture = np.zeros((batch, 3, *size), np.float32)
    for cell in (32, 8, 1):
        coarse = rng.uniform(-1, 1, (batch, 3, -(-size[0] // cell), -(-size[1] // cell)))
        picture += np.kron(coarse, np.ones((cell, cell)))[..., : size[0], : size[1]].astype(np.float32)
    return torch.from_numpy(np.clip(127 + 60 * picture, 0, 255).round().astype(np.float32))


def _difference(given: Tensor, expected: Tensor) -> float:
    if given.shape != expected.shape:
        return float("inf")
    if not expected.numel():
        return 0.0
    largest = float(expected.double().abs().max())
    return float((given.double() - expected.double()).abs().max()) / max(largest, 1e-12)
