"""What a checkpoint of a local run holds, and putting it back."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from umbel.checkpoint.read import Checkpoint
from umbel.errors import CheckpointError
from umbel.runtime.local import LocalRuntime


def capture(runtime: LocalRuntime) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]]:
    """Tensors by file and the JSON state of a runtime; nothing else is needed, since order, augmentation and dropout
    are functions of the seed and the step."""
    tensors = {"model": dict(runtime.model.state_dict()), "optimizer": _optimizer_tensors(runtime)}
    state: dict[str, Any] = {"steps_done": runtime.steps_done, "precision": runtime.precision}
    if runtime.average is not None:
        tensors["average"] = dict(runtime.average.shadow)
        state["average_steps"] = runtime.average.steps
    return tensors, state


def restore(runtime: LocalRuntime, checkpoint: Checkpoint) -> None:
    """Put a runtime back where it was when the checkpoint was written."""
    load_weights(runtime.model, checkpoint.tensors("model"), str(checkpoint.path))
    saved = checkpoint.tensors("optimizer")
    names = {id(parameter): name for name, parameter in runtime.model.named_parameters()}
    for group in runtime.optimizer.param_groups:
        for parameter in group["params"]:
            prefix = names[id(parameter)] + "/"
            entries = {key[len(prefix) :]: value for key, value in saved.items() if key.startswith(prefix)}
            if entries:
                runtime.optimizer.state[parameter] = {
                    key: value.clone() if key == "step" else _like(value, parameter) for key, value in entries.items()
                }
    runtime.steps_done = int(checkpoint.state["steps_done"])
    if runtime.average is not None:
        average = checkpoint.tensors("average")
        if not average:
            raise CheckpointError("has no averaged weights", where=str(checkpoint.path), hint="set train.ema_decay=0")
        for name, value in runtime.average.shadow.items():
            value.copy_(average[name])
        runtime.average.steps = int(checkpoint.state["average_steps"])


def load_weights(model: nn.Module, tensors: dict[str, Tensor], where: str) -> None:
    """Load a full set of weights into a model; CheckpointError lists what does not fit."""
    own = model.state_dict()
    missing = sorted(own.keys() - tensors.keys())
    unknown = sorted(tensors.keys() - own.keys())
    shapes = [
        f"{name} {tuple(tensors[name].shape)} instead of {tuple(value.shape)}"
        for name, value in own.items()
        if name in tensors and tensors[name].shape != value.shape
    ]
    if missing or unknown or shapes:
        parts = [("missing", missing), ("not in this model", unknown), ("of another shape", shapes)]
        listed = "; ".join(f"{len(names)} {what}: {', '.join(names[:3])}" for what, names in parts if names)
        raise CheckpointError(f"does not fit this recipe's model: {listed}", where=where)
    model.load_state_dict(tensors)


def _optimizer_tensors(runtime: LocalRuntime) -> dict[str, Tensor]:
    names = {id(parameter): name for name, parameter in runtime.model.named_parameters()}
    return {
        f"{names[id(parameter)]}/{key}": value
        for parameter, entries in runtime.optimizer.state.items()
        for key, value in entries.items()
    }


def _like(value: Tensor, parameter: Tensor) -> Tensor:
    """A copy of a state tensor with the parameter's device and memory format."""
    return torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)
