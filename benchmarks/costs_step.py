"""The ten largest costs of a training step: operators by their own processor time, under torch.profiler."""

from __future__ import annotations

from measure import arguments
from report import publish
from system import EngineStep, new_system, three_tasks
from torch.profiler import ProfilerActivity, profile

SHOWN = 10


def main() -> None:
    quick = arguments(__doc__).quick
    step = EngineStep(new_system(three_tasks(quick), train={"precision": "auto"}))
    step()
    count = 1 if quick else 5
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        for _ in range(count):
            step()
    costs = sorted(profiler.key_averages(), key=lambda cost: -cost.self_cpu_time_total)
    total = sum(cost.self_cpu_time_total for cost in costs)
    rows = [
        (cost.key, f"{cost.self_cpu_time_total / total:.1%}", milliseconds_of(cost.self_cpu_time_total / count),
         f"{cost.count / count:.0f}")
        for cost in costs[:SHOWN]
    ]  # fmt: skip
    rest = sum(cost.self_cpu_time_total for cost in costs[SHOWN:])
    rows.append(("everything else", f"{rest / total:.1%}", milliseconds_of(rest / count), ""))
    publish("costs_step", ("operator", "share", "ms per step", "calls"), rows, [])


def milliseconds_of(microseconds: float) -> str:
    return f"{microseconds / 1000:.1f}"


if __name__ == "__main__":
    main()
