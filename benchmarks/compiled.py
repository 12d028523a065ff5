"""A compiled training step against an eager one, and AdamW's three ways: on a CPU, where neither is the default."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from measure import arguments, medians, ratio, side_by_side
from report import Claim, milliseconds, publish
from system import CLASSIFICATION, EngineStep, System, new_system
from torch import nn

WAYS = {"tensor by tensor": {"foreach": False}, "foreach": {"foreach": True}, "fused": {"fused": True}}


def main() -> None:
    quick = arguments(__doc__).quick
    side = 64 if quick else 128
    eager = new_system({"cars": (CLASSIFICATION, 2 if quick else 8, (side, side))}, train={"compile": "off"})
    twin = System(copy.deepcopy(eager.recipe), eager.tasks, copy.deepcopy(eager.model), eager.batches)
    twin.recipe.train.compile = "on"
    steps = {"step, eager": EngineStep(eager), "step, compiled": EngineStep(twin)}
    times = side_by_side(steps, 2 if quick else 25, 1 if quick else 3)
    updates = {f"AdamW, {name}": update(eager.model, way) for name, way in WAYS.items()}
    times |= side_by_side(updates, 2 if quick else 25, 1 if quick else 3)
    plain = "AdamW, tensor by tensor"
    claims = [
        Claim("compiled step / eager step", ratio(times, "step, compiled", "step, eager")),
        Claim("AdamW, foreach / tensor by tensor", ratio(times, "AdamW, foreach", plain)),
        Claim("AdamW, fused / tensor by tensor", ratio(times, "AdamW, fused", plain)),
    ]
    publish(
        "compiled",
        ("what", "median ms"),
        [(name, milliseconds(value)) for name, value in medians(times).items()],
        claims,
    )


def update(model: nn.Module, way: dict[str, bool]) -> Callable[[], object]:
    """An optimizer step on a copy of a model, with gradients as large as they come."""
    parameters = list(copy.deepcopy(model).parameters())
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, **way)
    return optimizer.step


if __name__ == "__main__":
    main()
