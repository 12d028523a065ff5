"""The outcome of a comparison, as JSON types and as text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from umbel.workflows.compare.cost import Cost
from umbel.workflows.compare.models import JOINT, Plan
from umbel.workflows.compare.statistics import GAINS, LOSES, ONE_SEED, delta_m, interval, relative_change, verdict

Scores = Mapping[tuple[str, int], Mapping[str, float]]  # by model and seed


def summarise(plan: Plan, seeds: Sequence[int], scores: Scores, cost: Cost | None) -> dict[str, Any]:
    """Everything that `umbel compare` says, as JSON types; null for what is undefined.

    Args:
        plan: what was trained.
        seeds: of the runs.
        scores: of each model and seed, by "task/metric".
        cost: measured on the models of the first seed.
    """
    tasks: dict[str, dict[str, Any]] = {}
    mains: list[tuple[dict[str, float], dict[str, float]]] = []
    for name, metric in plan.tasks.items():
        key = f"{name}/{metric}"
        joint = [scores[JOINT, seed].get(key, math.nan) for seed in seeds]
        single = [scores[name, seed].get(key, math.nan) for seed in seeds]
        difference, half = interval([a - b for a, b in zip(joint, single, strict=True)])
        tasks[name] = {
            "metric": metric,
            "joint": _known(interval(joint)[0]),
            "alone": _known(interval(single)[0]),
            "difference": _known(difference),
            "half_width": _known(half),
            "relative": _known(interval([relative_change(a, b) for a, b in zip(joint, single, strict=True)])[0]),
            "verdict": verdict(difference, half),
            "joint_by_seed": [_known(value) for value in joint],
            "alone_by_seed": [_known(value) for value in single],
        }
    for index in range(len(seeds)):
        pair = [{name: _number(row[which][index]) for name, row in tasks.items()} for which in _BY_SEED]
        mains.append((pair[0], pair[1]))
    mean, half = interval([delta_m(joint, single) for joint, single in mains])
    return {
        "recipe": plan.recipe,
        "budget": f"{plan.steps} steps of the joint model; alone a task takes those it was part of: as many images",
        "steps": plan.steps,
        "seeds": list(seeds),
        "tasks": tasks,
        "delta_m": {"mean": _known(mean), "half_width": _known(half), "verdict": verdict(mean, half)},
        "cost": None if cost is None else {
            "joint_parameters": cost.parameters[0],
            "alone_parameters": cost.parameters[1],
            "joint_seconds": cost.seconds[0],
            "alone_seconds": cost.seconds[1],
            "input_size": list(cost.size),
            "device": cost.device,
        },
    }  # fmt: skip


_BY_SEED = ("joint_by_seed", "alone_by_seed")


def as_text(result: Mapping[str, Any]) -> str:
    """A table, and what it means in sentences."""
    from umbel.io.text import text_table

    header = ("task", "metric", "alone", "joint", "difference", "95 % interval", "relative", "")
    rows = []
    for name, row in result["tasks"].items():
        half = row["half_width"]
        rows.append(
            (
                name, row["metric"], _score(row["alone"]), _score(row["joint"]), _signed(row["difference"]),
                "–" if half is None else f"± {half:.4f}", _percent(row["relative"]), row["verdict"],
            )
        )  # fmt: skip
    delta = result["delta_m"]
    around = "" if delta["half_width"] is None else f" ± {100 * delta['half_width']:.2f} %"
    lines = [
        text_table(header, rows),
        "",
        f"budget: {result['budget']}; seeds {', '.join(map(str, result['seeds']))}",
        f"mean relative change (delta-m): {_percent(delta['mean'])}{around} ({delta['verdict']})",
        *_sentences(result["tasks"]),
    ]
    cost = result["cost"]
    if cost is not None:
        saved = 1 - cost["joint_parameters"] / cost["alone_parameters"]
        faster = 1 - cost["joint_seconds"] / cost["alone_seconds"]
        lines += [
            f"parameters: {cost['joint_parameters']:,} instead of {cost['alone_parameters']:,} ({saved:.0%} saved)",
            f"one image of {'x'.join(map(str, cost['input_size']))} through all heads on {cost['device']}: "
            f"{1000 * cost['joint_seconds']:.1f} ms instead of {1000 * cost['alone_seconds']:.1f} ms "
            f"({faster:.0%} saved)",
        ]
    return "\n".join(lines)


def _sentences(tasks: Mapping[str, Any]) -> list[str]:
    if all(row["verdict"] == ONE_SEED for row in tasks.values()):
        return ["one seed has no interval: give --seeds 0,1,2 to tell a difference from chance"]
    gains = [name for name, row in tasks.items() if row["verdict"] == GAINS]
    losers = [name for name, row in tasks.items() if row["verdict"] == LOSES]
    rest = [name for name in tasks if name not in gains + losers]
    said = [f"joint training helps {', '.join(gains)}"] if gains else []
    said += [f"joint training hurts {', '.join(losers)}"] if losers else []
    return [*said, f"no clear difference: {', '.join(rest)}"] if rest else said


def _known(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _score(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{value:+.4f}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:+.2f} %"
