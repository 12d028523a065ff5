"""Choosing the precision: bf16 autocast where it is faster, measured rather than guessed."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from umbel.model import MultiTaskModel
from umbel.task import Task

WORTHWHILE = 0.87  # bf16 must need less than this share of fp32's time to be worth its rounding


def choose_precision(wanted: str, model: MultiTaskModel, task: Task[object], channels_last: bool) -> str:
    """ "fp32" or "bf16".

    "auto" on a GPU is bf16 where the hardware has it. On a CPU it depends on the model as much as on the processor
    (dense convolutions gain, depthwise ones do not), so one forward and backward of the trunk is timed in both.

    Args:
        wanted: "auto", "fp32" or "bf16".
        model: the model, on its device.
        task: whose input size is timed.
        channels_last: memory format of the images.
    """
    if wanted != "auto":
        return wanted
    device = next(model.parameters()).device
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    times = {}
    model.eval()
    for name in ("fp32", "bf16"):
        run = _trunk_pass(model, task, channels_last, name == "bf16")
        run()
        times[name] = min(_timed(run) for _ in range(3))
    model.zero_grad(set_to_none=True)
    model.train()
    return "bf16" if times["bf16"] < WORTHWHILE * times["fp32"] else "fp32"


def _trunk_pass(model: MultiTaskModel, task: Task[object], channels_last: bool, bf16: bool) -> Callable[[], None]:
    images = torch.zeros((min(task.config.batch_size, 2), 3, *task.config.input_size), dtype=torch.uint8)
    if channels_last:
        images = images.to(memory_format=torch.channels_last)

    def run() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            features = model.backbone(model.normalise(images), task.name)
        total = torch.stack([level.float().mean() for level in features]).sum()
        if total.requires_grad:  # a frozen trunk has no backward to time
            total.backward()  # type: ignore[no-untyped-call]

    return run


def _timed(run: Callable[[], None]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started
