"""What one model saves over several: parameters, and time for one image."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from umbel.contract.types import Size
from umbel.model.model import count_parameters
from umbel.predict.load import open_trained
from umbel.registry.plugins import Plugins
from umbel.runtime.local import LocalRuntime

REPEATS = 7


@dataclass(frozen=True)
class Cost:
    """Of the joint model and of all single-task models together.

    Args:
        parameters: joint, together.
        seconds: for one image of `size` through every head: trunk once and all heads; each model by itself.
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
    images = torch.zeros((1, 3, *size), dtype=torch.uint8, device=whole.device)

    def together() -> None:
        trunks: dict[str, tuple[torch.Tensor, ...]] = {}
        for name in tasks:
            key = whole.model.backbone.trunk_key(name)  # tasks with statistics of their own share no trunk
            if key not in trunks:
                trunks[key] = whole.model.features(images, name)
            whole.model.heads[name](trunks[key])

    def one_by_one() -> None:
        for name, runtime in alone.items():
            runtime.model(images, name)

    with whole.evaluating():
        for runtime in alone.values():
            runtime.model.eval()
        seconds = (_median_seconds(together, whole), _median_seconds(one_by_one, whole))
    return Cost((counts[0], sum(counts[1:])), seconds, size, whole.device.type)


def _median_seconds(work: Callable[[], None], runtime: LocalRuntime) -> float:
    taken = []
    cuda = runtime.device.type == "cuda"
    for _ in range(REPEATS + 1):  # the first warms up
        started = time.perf_counter()
        with torch.autocast(runtime.device.type, torch.bfloat16, enabled=runtime.precision == "bf16"):
            work()
        if cuda:
            torch.cuda.synchronize(runtime.device)
        taken.append(time.perf_counter() - started)
    return statistics.median(taken[1:])
