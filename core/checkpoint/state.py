"""What a checkpoint of a run holds, and putting it back: the same for every runtime and number of processes."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from umbel.checkpoint.read import Checkpoint
from umbel.errors import CheckpointError
from umbel.runtime.base import Runtime

PRECISIONS = ("fp32", "bf16")


def capture(runtime: Runtime) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]]:
    """Whole tensors by file, and the JSON state of a runtime; every rank must call it, rank 0 gets the tensors.

    Nothing else is needed, since order, augmentation and dropout are functions of the seed and the step.
    """
    tensors = {"model": runtime.weights(), "optimizer": runtime.optimizer_tensors()}
    state: dict[str, Any] = {"steps_done": runtime.steps_done, "precision": runtime.precision}
    if runtime.average is not None:
        tensors["average"] = runtime.average_weights()
        state["average_steps"] = runtime.average.steps
    return tensors, state


def trained_precision(checkpoint: Checkpoint) -> str:
    """The precision that a checkpoint was trained in, "fp32" or "bf16"; CheckpointError where it does not say."""
    precision = checkpoint.state.get("precision")
    if precision not in PRECISIONS:
        raise CheckpointError(
            f"says precision {precision!r} in its state, which is none of {', '.join(PRECISIONS)}",
            where=str(checkpoint.path),
            hint="it was written by another version, or is damaged: choose another checkpoint",
        )
    return str(precision)


def restore(runtime: Runtime, checkpoint: Checkpoint) -> None:
    """Put a runtime back where one was when the checkpoint was written, whatever its kind and number of processes."""
    where = str(checkpoint.path)
    if "optimizer.safetensors" not in checkpoint.files:
        raise CheckpointError("has no optimizer state", where=where, hint="start a new run")
    if runtime.average is not None:
        average = checkpoint.tensors("average")
        if not average:
            raise CheckpointError("has no averaged weights", where=where, hint="set train.ema_decay=0")
        runtime.load_average(average, where)
        runtime.average.steps = int(checkpoint.state["average_steps"])
    runtime.load_weights(checkpoint.tensors("model"), where)
    runtime.load_optimizer(checkpoint.tensors("optimizer"), where)
    runtime.steps_done = int(checkpoint.state["steps_done"])


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
