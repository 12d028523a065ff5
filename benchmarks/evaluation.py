"""Evaluation that reads beside the model against one that reads first: small backbone, files of the paper's sizes."""

from __future__ import annotations

import math
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import torch
from loader import PAPER, Stored
from measure import arguments, medians, ratio, side_by_side
from pictures import write_pictures
from report import Claim, milliseconds, publish
from system import CLASSIFICATION, DETECTION, SEGMENTATION, new_system

from umbel.data.sample_errors import read_sample
from umbel.evaluate.evaluate import evaluate_task
from umbel.runtime.inference_model import InferenceModel

SIZES = {SEGMENTATION: (128, 256), CLASSIFICATION: (128, 128), DETECTION: (320, 320)}  # of the views
BACKBONE = "convnext_atto"


class Evaluation:
    """Evaluates a task when called."""

    def __init__(self, kind: str, data: Stored, *, quick: bool) -> None:
        size = (64, 64) if quick else SIZES[kind]
        system = new_system({"it": (kind, 4, size)}, model=BACKBONE)
        self.task, self.data = system.tasks["it"], data
        self.runtime = InferenceModel(system.model, "fp32")
        self.scores: dict[int, dict[str, float]] = {}

    def __call__(self, workers: int) -> None:
        self.task.config = replace(self.task.config, workers=workers)
        self.scores[workers] = evaluate_task(self.runtime, self.task, self.data)

    def first(self) -> None:
        """Reads, then predicts, in turn."""
        self(0)

    def beside(self) -> None:
        """Reads in a thread."""
        self(1)

    def reading(self) -> None:
        """Reads alone."""
        for index in range(len(self.data)):
            read_sample(self.task, self.data, index)


def rows_of(kind: str, threads: int, work: Evaluation, repeats: int) -> tuple[tuple[str, ...], float]:
    """A row of the table, and how many times as fast it is beside."""
    torch.set_num_threads(threads)
    times = side_by_side({"first": work.first, "beside": work.beside, "reading": work.reading}, repeats)
    count, median = len(work.data), medians(times)
    shown = (
        f"{kind}, {threads} threads",
        *(milliseconds(median[name] / count) for name in ("first", "beside", "reading")),
    )
    return shown, ratio(times, "first", "beside")


def main() -> None:
    quick = arguments(__doc__).quick
    rows, claims, differences = [], [], 0.0
    default = torch.get_num_threads()
    cv2.setNumThreads(0)
    with tempfile.TemporaryDirectory() as folder:
        for kind, (stored, _, _) in PAPER.items():
            size = (stored[0] // 4, stored[1] // 4) if quick else stored
            files = write_pictures(Path(folder), size, 4 if quick else 12)
            work = Evaluation(kind, Stored(kind, files, size), quick=quick)
            for threads in sorted({1, default}):
                row, faster = rows_of(kind, threads, work, 1 if quick else 5)
                rows.append(row)
                claims.append(Claim(f"{kind}, {threads} threads: first / beside", faster, 1.5, at_most=False))
            pairs: Any = zip(work.scores[0].values(), work.scores[1].values(), strict=True)
            differences += sum(not (one == other or math.isnan(one)) for one, other in pairs)
    claims.append(Claim("difference of the scores", differences, 0.0))
    publish("evaluation", ("an image, ms", "reads first", "reads beside", "reading alone"), rows, claims)


if __name__ == "__main__":
    main()
