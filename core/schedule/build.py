"""From a recipe's schedule to the plan of a run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING

from umbel.contract.errors import ConfigError
from umbel.schedule.config import COMPOSITE, ROUND_ROBIN, ScheduleConfig
from umbel.schedule.plan import CompositePlan, Plan
from umbel.schedule.window import Window

if TYPE_CHECKING:
    from umbel.contract.task_config import TaskConfig


def make_plan(
    tasks: Mapping[str, TaskConfig], schedule: ScheduleConfig, batches: Mapping[str, float], seed: int
) -> Plan:
    """The plan of a recipe.

    Args:
        tasks: the tasks' settings by name.
        schedule: the strategy.
        batches: number of batches in one pass over each task's data, over all processes.
        seed: run seed; decides the order that tasks are drawn in.
    """
    from umbel.schedule.one_task_plans import SampledPlan, TurnPlan

    windows = {name: Window(task.every, task.start_step, task.stop_step) for name, task in tasks.items()}
    if schedule.strategy == COMPOSITE:
        return CompositePlan(windows)
    if schedule.strategy == ROUND_ROBIN:
        return TurnPlan(windows)
    temperature = schedule.temperature if schedule.strategy == "temperature" else 1.0
    return SampledPlan(windows, {name: batches[name] ** (1 / temperature) for name in windows}, seed)


def check_plan(plan: Plan, total_steps: int) -> None:
    """ConfigError if some step of a run would have no task, or some task no step."""
    for name, window in plan.windows.items():
        if not plan.taken(name, total_steps):
            raise ConfigError(
                f"takes part in none of the {total_steps} steps",
                where=f"tasks.{name}.start_step",
                hint=f"it starts at step {window.start_step}",
            )
    empty = first_empty_step(plan, total_steps)
    if empty is not None:
        raise ConfigError(
            f"no task takes part in step {empty} (counted from 0)",
            where="tasks.*.every, start_step, stop_step",
            hint="let one task take part in every step, or set train.steps to where the last one stops",
        )


def first_empty_step(plan: Plan, total_steps: int) -> int | None:
    """The first step without a task, or None; looks at as few steps as needed."""
    borders = {0, total_steps}
    for window in plan.windows.values():
        borders |= {step for step in (window.start_step, window.stop_step) if step is not None and step < total_steps}
    ordered = sorted(borders)
    for first, last in pairwise(ordered):
        present = [window for window in plan.windows.values() if window.holds(first)]
        if any(window.every == 1 for window in present):
            continue
        period = min(math.lcm(*(window.every for window in present)), 1_000_000)  # then all of it comes again
        step = next((step for step in range(first, min(last, first + period)) if not plan.at(step)), None)
        if step is not None:
            return step
    return None
