"""Memory that does not suffice for a part of training: an error that names task, batch and what was computed."""

from __future__ import annotations

from contextlib import AbstractContextManager

from umbel.io.shortage import explained

_RECOMPUTE = "or set backbone.options.grad_checkpointing=true"


def of_step(task: str, batch_size: int, input_size: tuple[int, int], part: str) -> AbstractContextManager[None]:
    """`explained` for what is computed of a training batch.

    Args:
        task: its name.
        batch_size: images of the batch.
        input_size: their height and width.
        part: "forward" or "backward".
    """
    height, width = input_size
    return explained(
        f"tasks.{task}",
        f"tasks.{task}.batch_size ({batch_size} now) and raise train.accumulate as much, lower input_size, "
        f"{_RECOMPUTE}",
        during=f"the {part} of {_images(batch_size)} of {height} x {width} pixels",
    )


def of_update() -> AbstractContextManager[None]:
    """`explained` for the optimizer's part of a step, which the first step makes room for."""
    return explained(
        "optim",
        "what is trained: a smaller backbone, train.ema_decay=0, backbone.options.freeze=true, or with several "
        "processes share it by deepspeed.zero_optimization.stage",
        during="the optimizer's step over all weights",
    )


def of_evaluation(task: str, batch_size: int) -> AbstractContextManager[None]:
    """`explained` for validation images, which are seen in the task's own test size."""
    return explained(
        f"tasks.{task}",
        f"tasks.{task}.batch_size ({batch_size} now), the task's test size or its test-time augmentation",
        during=f"the evaluation of up to {_images(batch_size)} at once",
    )


def _images(count: int) -> str:
    return f"{count} image{'s' * (count != 1)}"
