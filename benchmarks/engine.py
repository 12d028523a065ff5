"""Overhead of the engine: a step of umbel against a hand-written loop over the same model and batches."""

from __future__ import annotations

import copy

from measure import arguments, medians, ratio, side_by_side
from report import Claim, milliseconds, publish
from system import EngineStep, LoopStep, System, new_system, three_tasks


def main() -> None:
    quick = arguments(__doc__).quick
    system = new_system(three_tasks(quick))
    twin = System(system.recipe, system.tasks, copy.deepcopy(system.model), system.batches)
    times = side_by_side({"loop": LoopStep(twin), "umbel": EngineStep(system)}, 2 if quick else 25, 1 if quick else 3)
    overhead = ratio(times, "umbel", "loop")
    rows = [(name, milliseconds(value)) for name, value in medians(times).items()]
    publish("engine", ("step", "median ms"), rows, [Claim("engine step / hand-written loop", overhead, 1.02)])


if __name__ == "__main__":
    main()
