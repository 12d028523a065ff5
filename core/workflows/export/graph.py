"""The graph that is exported: one image batch in, the named outputs of every task out, the backbone run once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree

from umbel.contract.defaults import exported
from umbel.contract.errors import ConfigError
from umbel.contract.task import Task
from umbel.evaluate.feature_cache import CountedCache
from umbel.model.model import MultiTaskModel, keep_tasks

INPUT = "images"


class ExportGraph(nn.Module):
    """Normalisation, backbone and heads of some tasks, on the CPU and in evaluation mode, as one module.

    It takes over the parts of `model`, from which the other tasks' parts are removed.

    Args:
        model: a trained model.
        tasks: the tasks to keep, by name.
    """

    def __init__(self, model: MultiTaskModel, tasks: Mapping[str, Task[Any]]) -> None:
        super().__init__()
        keep_tasks(model, tuple(tasks))
        model.to("cpu", memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        self.backbone = model.backbone.for_export()
        self.heads = nn.ModuleDict({name: exported(task, model.heads[name]) for name, task in tasks.items()})
        self.register_buffer("mean", model.mean, persistent=False)
        self.register_buffer("std", model.std, persistent=False)
        self.stride = max(model.backbone.spec.strides)
        self.eval()

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Outputs of all tasks, flattened, in the order of `output_names`.

        Args:
            images: (B, 3, H, W) float32 RGB in 0..255.
        """
        return tuple(tensor for output in self.outputs(images).values() for tensor in _pytree.tree_leaves(output))

    def outputs(self, images: Tensor) -> dict[str, Any]:
        """Output of every task as its head gives it."""
        normalised = (images - self.mean) / self.std  # type: ignore[operator]
        keys = {name: self.backbone.feature_key(name) for name in self.heads}
        features: CountedCache[str, tuple[Tensor, ...]] = CountedCache(keys.values())
        return {
            name: head(features.get(keys[name], partial(self.backbone, normalised, name)))
            for name, head in self.heads.items()
        }

    def shapes(self, images: Tensor) -> dict[str, Any]:
        """The structure of every task's output, to put flat outputs back together with `assemble`.

        Raises:
            ConfigError: a head gives something else than tensors.
        """
        with torch.no_grad():
            outputs = self.outputs(images)
        for name, output in outputs.items():
            if not all(isinstance(leaf, Tensor) for leaf in _pytree.tree_leaves(output)):
                raise ConfigError("the head gives more than tensors", where=f"tasks.{name}", hint="see umbel.Exports")
        return {name: _pytree.tree_structure(output) for name, output in outputs.items()}


def output_names(structures: Mapping[str, Any]) -> dict[str, list[str]]:
    """Names of the flat outputs of each task: its own where there is one, else with a number behind."""
    return {
        name: [name] if structure.num_leaves == 1 else [f"{name}_{index}" for index in range(structure.num_leaves)]
        for name, structure in structures.items()
    }


def assemble(flat: Sequence[Tensor], structures: Mapping[str, Any]) -> dict[str, Any]:
    """Every task's output from the flat outputs of the graph."""
    outputs, start = {}, 0
    for name, structure in structures.items():
        outputs[name] = _pytree.tree_unflatten(list(flat[start : start + structure.num_leaves]), structure)
        start += structure.num_leaves
    return outputs
