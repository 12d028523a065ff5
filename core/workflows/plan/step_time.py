"""What a step computes on one device, by task and part, and how long a device takes for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch._subclasses.fake_tensor import FakeTensorMode

from umbel.config.schema import Recipe
from umbel.contract.task import Task
from umbel.model.flops import TaskFlops
from umbel.model.model import MultiTaskModel
from umbel.model.peaks import DevicePeak
from umbel.runtime.empty import step_flops
from umbel.workflows.plan.probe import TaskActivations

SHARES = (0.3, 0.4, 0.5)  # of a peak that training reaches in practice


@dataclass(frozen=True)
class StepTime:
    """Seconds a step on a device.

    Args:
        device: its name in `umbel.model.peaks`.
        precision: "bf16" or "fp32", whose peak counts.
        peak: FLOP/s.
        seconds: a step, by the share of the peak that is reached in percent.
    """

    device: str
    precision: str
    peak: float
    seconds: dict[int, float]


def count_step(
    recipe: Recipe,
    tasks: Mapping[str, Task[Any]],
    model: MultiTaskModel,
    fake: FakeTensorMode,
    activations: Sequence[TaskActivations],
) -> list[TaskFlops]:
    """Operations of every task in a step that it takes part in; a loss whose labels were read counts with the head."""
    counted = []
    for probe in activations:
        flops = step_flops(recipe, tasks[probe.task], model, fake)
        forward, backward = (recipe.train.accumulate * count for count in probe.loss_flops)
        counted.append(
            replace(flops, head_forward=flops.head_forward + forward, head_backward=flops.head_backward + backward)
        )
    return counted


def step_time(flops: Sequence[TaskFlops], device: DevicePeak, precision: str) -> StepTime:
    """Seconds of a step with all tasks at each of SHARES of a device's peak."""
    peak, total = device.rate(precision), sum(task.total for task in flops)
    return StepTime(device.name, precision, peak, {round(100 * share): total / (share * peak) for share in SHARES})
