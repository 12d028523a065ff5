"""Making program files of a graph: with as many free dimensions as it allows."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from umbel.contract.errors import ConfigError, TrainingError
from umbel.contract.types import Size
from umbel.workflows.export.graph import INPUT, ExportGraph

Program = Callable[[Tensor], list[Tensor]]

_EXTRA = "pip install 'umbel[export]'"

_LARGEST = 1_500_000_000  # bytes of weights inside an ONNX file; protobuf ends at 2 GiB


@dataclass(frozen=True)
class Traced:
    """A traced graph.

    Args:
        program: by torch.export.
        batch: any number of images may be given.
        sizes: any height and width that the largest stride divides may be given.
    """

    program: torch.export.ExportedProgram
    batch: bool
    sizes: bool


def trace(graph: ExportGraph, size: Size) -> Traced:
    """Trace a graph: for any batch and size if it can be, else for any batch, else for one image of this size.

    Raises:
        TrainingError: it cannot be traced at all.
    """
    batch = torch.export.Dim("batch", min=1, max=65536)
    height, width = (torch.export.Dim(name, min=1, max=2048) for name in ("height_cells", "width_cells"))
    attempts: list[tuple[dict[int, Any], bool, bool]] = [
        ({0: batch, 2: graph.stride * height, 3: graph.stride * width}, True, True),
        ({0: batch}, True, False),
        ({}, False, False),
    ]
    reason = ""
    for free, any_batch, any_size in attempts:
        example = torch.zeros(2 if any_batch else 1, 3, *size)
        try:
            with torch.no_grad(), _quiet():
                program = torch.export.export(graph, (example,), dynamic_shapes=({**free},) if free else None)
            return Traced(program, any_batch, any_size)
        except Exception as error:  # the tracer refuses in many ways
            reason = (str(error).splitlines() or [type(error).__name__])[0]
    raise TrainingError(f"the model cannot be traced: {reason}", hint="export a subset of its tasks")


def write_torch(traced: Traced, path: Path) -> Program:
    """Write a .pt2 file and open it again."""
    with _quiet():
        torch.export.save(traced.program, path)
        module: Any = torch.export.load(path).module()

    def run(images: Tensor) -> list[Tensor]:
        with torch.no_grad():
            return list(module(images))

    return run


def write_onnx(traced: Traced, names: Sequence[str], path: Path, opset: int | None) -> Program:
    """Write an .onnx file, with its weights beside it if they are large, and open it with onnxruntime.

    Raises:
        ConfigError: ONNX is not installed, or does not know the opset.
    """
    try:
        import onnxruntime
        import onnxscript  # noqa: F401  torch imports it, with a longer error
    except ImportError as error:
        raise ConfigError(f"ONNX needs {error.name}", where="--to onnx", hint=_EXTRA) from None
    size = sum(value.numel() * value.element_size() for value in traced.program.state_dict.values())
    try:
        with _quiet():
            onnx_program: Any = torch.onnx.export(
                traced.program, (), input_names=[INPUT], output_names=list(names), opset_version=opset, dynamo=True,
                verbose=False,
            )  # fmt: skip
            onnx_program.save(str(path), external_data=size > _LARGEST)
            session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:  # torch, onnx and onnxruntime have errors of their own
        line = (str(error).splitlines() or [type(error).__name__])[0]
        raise ConfigError(f"cannot be written as ONNX: {line}", where="--to onnx", hint="try another --opset") from None

    def run(images: Tensor) -> list[Tensor]:
        return [torch.from_numpy(np.asarray(array)) for array in session.run(list(names), {INPUT: images.numpy()})]

    return run


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporters' deprecation warnings and progress: what matters is checked afterwards."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
