"""Peak activation memory of a step: three tasks against the largest alone, and against one backward of the sum."""

from __future__ import annotations

from collections.abc import Callable

import torch
from measure import arguments
from report import Claim, publish
from system import EngineStep, LoopStep, System, new_system, three_tasks

from umbel.runtime.live_bytes import LiveBytes


def peak_mib(system: System, step: Callable[[], object]) -> float:
    """The most bytes alive at one time that a step makes, gradients and optimizer states not counted.

    Gradients are there before, and the optimizer does nothing: neither has to do with how tasks follow one another.
    """
    parameters = list(system.model.parameters())
    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    with LiveBytes([*parameters, *system.model.buffers(), *gradients]) as live:
        step()
    return live.peak / 2**20


class Backwards:
    """The engine's forwards and backwards without its optimizer step."""

    def __init__(self, system: System) -> None:
        self.engine = EngineStep(system)
        self.engine.runtime.step = lambda: torch.zeros(())  # type: ignore[method-assign]

    def __call__(self) -> None:
        self.engine()


def main() -> None:
    quick = arguments(__doc__).quick
    tasks = three_tasks(quick)
    peaks = {}
    for name, of_task in tasks.items():
        alone = new_system({name: of_task})
        peaks[f"{name} alone"] = peak_mib(alone, Backwards(alone))
    together = new_system(tasks)
    largest = max(peaks.values())
    peaks["three tasks, umbel"] = peak_mib(together, Backwards(together))
    summed = LoopStep(together, summed=True)
    summed.optimizer.step = lambda: None  # type: ignore[method-assign]
    peaks["three tasks, summed loss"] = peak_mib(together, summed)
    claims = [
        Claim("peak of three tasks / of the largest alone", peaks["three tasks, umbel"] / largest, 1.05),
        Claim("the same with one backward of the summed loss", peaks["three tasks, summed loss"] / largest),
    ]
    publish("activations", ("step", "peak MiB"), [(name, f"{value:.1f}") for name, value in peaks.items()], claims)


if __name__ == "__main__":
    main()
