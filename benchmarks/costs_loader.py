"""The largest costs of loading and augmenting at the paper's sizes: functions by processor time, under cProfile."""

from __future__ import annotations

import cProfile
import pstats
import tempfile
import time
from pathlib import Path

import cv2
import torch
from loader import PAPER, Epochs, Stored, training_view
from measure import arguments
from pictures import write_pictures
from report import publish

SHOWN = 5  # of each task


def main() -> None:
    quick = arguments(__doc__).quick
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    count = 2 if quick else 24
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for kind, (stored, size, _) in PAPER.items():
            if quick:
                stored, size = (stored[0] // 4, stored[1] // 4), (128, 128)
            epochs = Epochs(
                training_view(kind, Stored(kind, write_pictures(Path(folder), stored, count), stored), size), count
            )
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
