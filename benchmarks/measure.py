"""Timing things side by side: every round runs each of them once, so that a busy moment hits all alike."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Mapping

Times = dict[str, list[float]]


def arguments(description: str | None) -> argparse.Namespace:
    """`--quick`: tiny sizes, to see that a benchmark runs; its figures mean nothing."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="tiny sizes; the figures mean nothing")
    return parser.parse_args()


def side_by_side(runs: Mapping[str, Callable[[], object]], repeats: int, warm_up: int = 1) -> Times:
    """Seconds of each run in each round, without the warm-up rounds."""
    times: Times = {name: [] for name in runs}
    for turn in range(warm_up + repeats):
        for name, run in runs.items():
            started = time.perf_counter()
            run()
            if turn >= warm_up:
                times[name].append(time.perf_counter() - started)
    return times


def medians(times: Mapping[str, list[float]]) -> dict[str, float]:
    return {name: statistics.median(values) for name, values in times.items()}


def ratio(times: Mapping[str, list[float]], one: str, other: str) -> float:
    """Median over rounds of the time of one run divided by that of another."""
    return statistics.median(a / b for a, b in zip(times[one], times[other], strict=True))
