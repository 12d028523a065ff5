"""What one model saves over several: parameters, and time for one image."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import torch

from umbel.contract.types import Size, View
from umbel.evaluate.feature_cache import SharedFeatures
from umbel.evaluate.stopwatch import seconds_now
from umbel.model.model import count_parameters
from umbel.predict.load import open_trained
from umbel.registry.plugins import Plugins

REPEATS = 7


@dataclass(frozen=True)
class Cost:
    """Of the joint model and of all single-task models together.

    Args:
        parameters: joint, together.
        seconds: for one image of `size` through every head: backbone once and all heads; each model by itself.
        size: height and width of that image, the largest input of the recipe.
        device: where it was measured.
    """

    parameters: tuple[int, int]
    seconds: tuple[float, float]
    size: Size
    device: str


def measure_cost(joint: Path, singles: dict[str, Path]) -> Cost:
    """Open the trained models and time them, without decoding, in their own precision."""
    plugins = Plugins.discover()
    _, tasks, whole = open_trained(str(joint), [], "latest", plugins)
    size = max((task.config.input_size for task in tasks.values()), key=lambda side: side[0] * side[1])
    alone = {name: open_trained(str(path), [], "latest", plugins)[2] for name, path in singles.items()}
    counts = [count_parameters(model.model) for model in (whole, *alone.values())]
    image, view = torch.zeros((3, *size), dtype=torch.uint8, device=whole.device), View(size)

    def together() -> None:
        outputs = SharedFeatures(whole, [image], {name: [view] for name in tasks})
        for name in tasks:
            outputs(view, name)

    def one_by_one() -> None:
        for name, model in alone.items():
            model.forward(image[None], name)

    with ExitStack() as stack:
        for model in (whole, *alone.values()):
            stack.enter_context(model.eval_mode())
        seconds = (_median_seconds(together, whole.device), _median_seconds(one_by_one, whole.device))
    return Cost(parameters=(counts[0], sum(counts[1:])), seconds=seconds, size=size, device=whole.device.type)


def _median_seconds(work: Callable[[], None], device: torch.device) -> float:
    taken = []
    for _ in range(REPEATS + 1):  # the first warms up
        started = seconds_now(device)
        work()
        taken.append(seconds_now(device) - started)
    return statistics.median(taken[1:])
