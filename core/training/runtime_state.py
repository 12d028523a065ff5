"""What a checkpoint keeps of a runtime: weights, optimizer, average, and the steps done."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from umbel.checkpoint.read import Checkpoint, trained_precision
from umbel.contract.errors import CheckpointError
from umbel.runtime.base import Runtime

RUNTIME_KEYS = ("steps_done", "precision")  # of a checkpoint's state; `average_steps` besides where there is an average

RANKS = "ranks"  # stem of the file of what each rank held for itself


def runtime_state_dict(runtime: Runtime) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]]:
    """Whole tensors by file, and the JSON state of a runtime; every rank must call it, rank 0 gets the tensors.

    Nothing else is needed, since order, augmentation and dropout are functions of the seed and the step.
    """
    tensors = {"model": runtime.weights(), "optimizer": runtime.optimizer_tensors()}
    state: dict[str, Any] = {"steps_done": runtime.steps_done, "precision": runtime.precision}
    if runtime.average is not None:
        tensors["average"] = runtime.average_weights()
        state["average_steps"] = runtime.average.steps
    if states := runtime.rank_states():
        tensors[RANKS] = states
    return tensors, state


def load_runtime_state_dict(runtime: Runtime, checkpoint: Checkpoint) -> None:
    """Load the state that a runtime had when the checkpoint was written, whatever its kind and number of processes.

    Raises:
        CheckpointError: the checkpoint lacks what the runtime needs.
    """
    where = str(checkpoint.path)
    if "optimizer.safetensors" not in checkpoint.files:
        raise CheckpointError("has no optimizer state", where=where, hint="start a new run")
    if runtime.average is not None:
        average = checkpoint.tensors("average")
        if not average:
            raise CheckpointError("has no EMA weights", where=where, hint="set train.ema_decay=0")
        runtime.load_average(average, where)
        runtime.average.steps = int(checkpoint.state["average_steps"])
    runtime.load_weights(checkpoint.tensors("model"), where)
    runtime.load_optimizer(checkpoint.tensors("optimizer"), where)
    runtime.load_rank_states(checkpoint.tensors(RANKS))
    runtime.steps_done = int(checkpoint.state["steps_done"])
    runtime.precision = trained_precision(checkpoint)
