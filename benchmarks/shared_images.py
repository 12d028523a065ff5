"""Three tasks on the same images: one pass of the backbone for all, against a pass for each."""

from __future__ import annotations

import copy
from dataclasses import replace

import torch
from activations import Backwards, peak_mib
from measure import arguments, medians, ratio, side_by_side
from report import Claim, milliseconds, publish
from system import CLASSIFICATION, DETECTION, SEGMENTATION, EngineStep, System, new_system

PAPER = {SEGMENTATION: {}, CLASSIFICATION: {}, DETECTION: {}}  # the heads as the paper has them


def one_size(quick: bool) -> dict[str, tuple[str, int, tuple[int, int]]]:
    side = 64 if quick else 192
    return {kind: (kind, 2 if quick else 4, (side, side)) for kind in (SEGMENTATION, CLASSIFICATION, DETECTION)}


def shared(system: System) -> System:
    """The same tasks and weights, the images of the first task for all, and a source that says so."""
    tasks = {name: copy.copy(task) for name, task in system.tasks.items()}
    for task in tasks.values():
        task.config = replace(task.config, source="images")
    images = next(iter(system.batches.values())).images
    batches = {name: replace(batch, images=images) for name, batch in system.batches.items()}
    return System(system.recipe, tasks, copy.deepcopy(system.model), batches)


def main() -> None:
    quick = arguments(__doc__).quick
    model = "test_convnext" if quick else "convnext_tiny"
    system = new_system(one_size(quick), model=model)
    runs = {"a pass for each": EngineStep(system), "one pass": EngineStep(shared(system))}
    times = side_by_side(runs, 2 if quick else 9)
    rows = [(name, milliseconds(value), "") for name, value in medians(times).items()]
    claims = [Claim("step with one pass / Algorithm 1", ratio(times, "one pass", "a pass for each"), 0.60)]
    del runs
    system = new_system(one_size(quick), model=model, **({} if quick else {"heads": PAPER}))
    together = shared(system)
    peaks = {
        "a pass for each, the paper's heads": peak_mib(system, Backwards(system)),
        "one pass, the paper's heads": peak_mib(together, Backwards(together)),
        "summed loss, one graph, the paper's heads": peak_mib(together, SummedOnce(together)),
    }
    rows += [(name, "", f"{value:.1f}") for name, value in peaks.items()]
    each, once, graph = peaks.values()
    claims += [Claim("peak memory, one pass / Algorithm 1", once / each, 1.05)]
    claims += [Claim("peak memory, one pass / summed loss", once / graph, 0.85)]
    publish("shared_images", ("step", "median ms", "peak MiB"), rows, claims)


class SummedOnce:
    """The losses of all heads on one pass of the backbone, in one graph, as peers do."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.images = next(iter(system.batches.values())).images.to(memory_format=torch.channels_last)

    def __call__(self) -> None:
        model = self.system.model
        features = model.features(self.images, next(iter(self.system.tasks)))
        losses = [
            task.loss(model.heads[name](features), self.system.batches[name].targets).total
            for name, task in self.system.tasks.items()
        ]
        torch.stack(losses).sum().backward()


if __name__ == "__main__":
    main()
