"""The regression gate: the old tasks before and after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    """One old task: its main metric before and after, and whether it lost more than it may."""

    task: str
    metric: str
    before: float
    after: float
    passed: bool


def judge(
    main_metrics: Mapping[str, str], before: Mapping[str, float], after: Mapping[str, float], max_drop: float
) -> list[Verdict]:
    """Compare the main metrics of tasks.

    Args:
        main_metrics: main metric by name of the tasks to judge.
        before: scores by "task/metric".
        after: the same after training.
        max_drop: what a metric may lose; a score that became undefined has lost everything.
    """
    verdicts = []
    for task, metric in main_metrics.items():
        old, new = before[f"{task}/{metric}"], after[f"{task}/{metric}"]
        undefined = old != old
        verdicts.append(Verdict(task, metric, old, new, undefined or old - new <= max_drop))
    return verdicts
