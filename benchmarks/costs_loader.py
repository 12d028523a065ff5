"""The largest costs of loading and augmenting at the paper's sizes: functions by processor time, under cProfile."""

from __future__ import annotations

import cProfile
import pstats
import time
from pathlib import Path

from loader import Epochs, paper_data, training_view
from measure import arguments
from report import publish

SHOWN = 5  # of each task


def main() -> None:
    quick = arguments(__doc__).quick
    count = 2 if quick else 24
    rows = []
    for kind, data, size in paper_data(quick, count):
        epochs = Epochs(training_view(kind, data, size), count)
        epochs()
        profiler = cProfile.Profile(time.process_time)
        profiler.runcall(epochs)
        rows += largest(kind, profiler, count)
    publish("costs_loader", ("task, function", "share", "ms an image", "calls an image"), rows, [])


def largest(kind: str, profiler: cProfile.Profile, images: int) -> list[tuple[str, str, str, str]]:
    """The functions that take most of a profile, largest first."""
    stats = pstats.Stats(profiler)
    total: float = stats.total_tt  # type: ignore[attr-defined]
    found = [(own, calls, named(*key)) for key, (_, calls, own, _, _) in stats.stats.items()]  # type: ignore[attr-defined]
    return [
        (f"{kind}, {name}", f"{own / total:.0%}", f"{1000 * own / images:.2f}", f"{calls / images:.0f}")
        for own, calls, name in sorted(found, reverse=True)[:SHOWN]
    ]


def named(file: str, line: int, function: str) -> str:
    """A function as people know it: cProfile writes built-in ones in angle brackets."""
    return function.strip("<>") if file == "~" else f"{Path(file).stem}.{function}"


if __name__ == "__main__":
    main()
