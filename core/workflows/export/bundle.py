"""Exporting a run: the program or weights, what describes them, and the check that they say the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from safetensors.torch import save

from umbel.config.edit import _recipe_of
from umbel.config.redact import Secrets
from umbel.contract.defaults import export_spec_of
from umbel.contract.errors import ConfigError, DataError
from umbel.contract.task import Task
from umbel.contract.types import Size
from umbel.contract.values import to_jsonable
from umbel.io.files import write_bytes, write_json
from umbel.io.lock import hold
from umbel.io.run_folder import WEIGHTS, enclosing_run
from umbel.io.written import writing
from umbel.model.model import MultiTaskModel, count_parameters, keep_tasks
from umbel.version import __version__
from umbel.workflows.export.card import model_card
from umbel.workflows.export.graph import INPUT, ExportGraph, output_names
from umbel.workflows.export.parity import Parity, compare
from umbel.workflows.export.programs import trace, write_onnx, write_torch

TARGETS = ("onnx", "torch_export", "safetensors")

SPEC = "umbel.json"


@dataclass
class Exported:
    """What an export left.

    Args:
        files: names in its folder.
        parameters: of backbone and exported heads.
        dynamic: dimensions of the input that are free.
        parity: comparison with torch; empty for weights alone, which are the same bytes.
    """

    files: list[str]
    parameters: int
    dynamic: list[str] = field(default_factory=list)
    parity: list[Parity] = field(default_factory=list)


@dataclass(frozen=True)
class _Written:
    """The weights or program of an export.

    Args:
        exported: what there is so far.
        names: of the outputs, by task name.
        shapes: of the outputs, by name; unknown of weights.
    """

    exported: Exported
    names: Mapping[str, Sequence[str]]
    shapes: Mapping[str, Sequence[int]]


def export_model(
    model: MultiTaskModel,
    tree: Any,
    tasks: Mapping[str, Task[Any]],
    out: Path,
    *,
    target: str,
    name: str,
    scores: Mapping[str, Any],
    opset: int | None = None,
    size: Size | None = None,
) -> Exported:
    """Write a model, or the part of it that some tasks need, into a folder that can be pushed to a model hub as it is.

    Args:
        model: trained; it is taken apart and of no use afterwards.
        tree: the recipe it was trained with as written, interpolations unresolved.
        tasks: the tasks to export.
        out: gets the weights or program, `umbel.json`, `README.md` and, with weights, `recipe.yaml`.
        target: one of `TARGETS`.
        name: of the model, for its card.
        scores: by "task/metric".
        opset: of ONNX; None takes torch's.
        size: height and width of the traced input; the largest input size of the tasks if None.

    Raises:
        ConfigError: the size does not fit, ONNX is not installed, or a file is in the way that umbel did not write.
    """
    with hold(enclosing_run(out) or out, "umbel export"), writing(out, _files(target), f"export to {target}"):
        backbone = model.backbone.summary()
        traced_size = size or _largest_size(tasks)
        _check_size(traced_size, max(model.backbone.spec.strides))
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"cannot be written: {error.strerror}", where=str(out)) from None
        if target == "safetensors":
            written = _export_weights(model, tree, tasks, out)
        else:
            written = _export_program(model, tasks, out, target=target, opset=opset, size=traced_size)
        done, secrets = written.exported, Secrets.of(tree)
        spec = {"umbel": __version__, "trunk": backbone} | _describe(model, tasks, written, traced_size)
        write_json(out / SPEC, secrets.redact(spec))
        done.files += [SPEC, "README.md"]
        card = model_card(name, tasks, scores=scores, backbone=backbone, files=done.files[:-1], secrets=secrets)
        write_bytes(out / "README.md", card.encode())
        return done


def _files(target: str) -> tuple[str, ...]:
    """What an export may write."""
    own = {
        "onnx": ("model.onnx", "model.onnx.data"),
        "torch_export": ("model.pt2",),
        "safetensors": (WEIGHTS, "recipe.yaml"),
    }
    return (*own[target], SPEC, "README.md")


def _describe(
    model: MultiTaskModel, tasks: Mapping[str, Task[Any]], written: _Written, traced_size: Size
) -> dict[str, Any]:
    """What `umbel.json` says of the input, the tasks and the check, as JSON types."""
    done = written.exported
    return {
        "input": {
            "name": INPUT, "layout": "NCHW", "channels": "RGB", "dtype": "float32", "range": [0, 255],
            "traced_size": list(traced_size), "dynamic": done.dynamic,
            "divisible_by": max(model.backbone.spec.strides), "padding_colour": model.pad_color,
            "normalisation": {"in_graph": True, "mean": list(model.backbone.mean), "std": list(model.backbone.std)},
        },
        "tasks": {
            task_name: {
                "kind": task.config.kind,
                "input_size": list(task.config.input_size),
                "outputs": [
                    {"name": output, "shape": written.shapes.get(output)} for output in written.names[task_name]
                ],
                **to_jsonable(export_spec_of(task)),
            }
            for task_name, task in tasks.items()
        },
        "parity": [asdict(entry) for entry in done.parity],
    }  # fmt: skip


def _export_weights(model: MultiTaskModel, tree: Any, tasks: Mapping[str, Task[Any]], out: Path) -> _Written:
    keep_tasks(model, tuple(tasks))
    tensors = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    write_bytes(out / WEIGHTS, save(tensors, {"format": "pt"}))
    OmegaConf.save(_recipe_of(tree, model, tasks), out / "recipe.yaml", resolve=False)
    done = Exported([WEIGHTS, "recipe.yaml"], count_parameters(model), ["batch", "height", "width"])
    return _Written(done, {task: [task] for task in tasks}, {})


def _export_program(
    model: MultiTaskModel, tasks: Mapping[str, Task[Any]], out: Path, *, target: str, opset: int | None, size: Size
) -> _Written:
    graph = ExportGraph(model, tasks)
    structures = graph.shapes(torch.zeros(1, 3, *size))
    names = output_names(structures)
    flat = [output for of_task in names.values() for output in of_task]
    traced = trace(graph, size)
    if target == "onnx":
        program, file = write_onnx(traced, flat, out / "model.onnx", opset), "model.onnx"
    else:
        program, file = write_torch(traced, out / "model.pt2"), "model.pt2"
    trials = [(1, size)]
    if traced.batch:
        trials.append((3, size))
    if traced.sizes:
        trials.append((2, (size[0] + graph.stride, size[1] + 2 * graph.stride)))
    parity = compare(graph, program, tasks, structures, trials)
    with torch.no_grad():
        shapes = {key: list(tensor.shape) for key, tensor in zip(flat, graph(torch.zeros(1, 3, *size)), strict=True)}
    dynamic = ["batch"] * traced.batch + ["height", "width"] * traced.sizes
    beside = [file, f"{file}.data"] if (out / f"{file}.data").exists() else [file]
    return _Written(Exported(beside, count_parameters(graph), dynamic, parity), names, shapes)


def _largest_size(tasks: Mapping[str, Task[Any]]) -> Size:
    sizes = [task.config.input_size for task in tasks.values()]
    return (max(size[0] for size in sizes), max(size[1] for size in sizes))


def _check_size(size: Size, stride: int) -> None:
    if min(size) < stride or size[0] % stride or size[1] % stride:
        raise ConfigError(f"is {list(size)}; both sides must be divisible by {stride}", where="--size")
