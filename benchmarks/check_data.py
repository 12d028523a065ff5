"""Checking data: images/s of `umbel check --data` on photographs of 640 x 480, by number of processes."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import cv2
import numpy as np
from measure import arguments
from report import Claim, publish

from umbel import TaskConfig, keyed_generator, write_image
from umbel.tasks.classification.options import ClassificationOptions
from umbel.tasks.classification.task import Classification
from umbel.workflows.check.check import check_data

GOAL = 150.0  # images/s on two cores


def write_photographs(root: Path, count: int) -> None:
    """JPEG files of about 60 kB."""
    for split, share in (("train", 0.8), ("val", 0.2)):
        for index in range(round(count * share)):
            rng = keyed_generator("check_data", split, index)
            noise = rng.integers(0, 256, (480, 640, 3), dtype=np.uint8)
            write_image(root / split / f"class{index % 4}" / f"{index}.jpg", cv2.GaussianBlur(noise, (15, 15), 3))


def main() -> None:
    count = 20 if arguments(__doc__).quick else 1500
    rows, rates = [], {}
    with tempfile.TemporaryDirectory() as folder:
        write_photographs(Path(folder), count)
        config = TaskConfig("classification", 1, (224, 224))
        task = Classification("photos", config, ClassificationOptions(root=folder))
        for workers in (0, 1, 2):
            before = sum(os.times()[:4])
            report = check_data({"photos": task}, workers)
            cpu_seconds = sum(os.times()[:4]) - before  # what a busy machine does not blur
            assert not report.findings, report.findings[:3]
            rates[workers] = report.files / report.seconds
            rows.append(
                (str(workers), f"{report.seconds:.1f}", f"{rates[workers]:.0f}", f"{report.files / cpu_seconds:.0f}")
            )
    claims = [Claim("images/s with 2 processes on 2 cores", rates[2], GOAL, at_most=False)]
    publish("check_data", ("processes", "seconds", "images/s", "images/CPU s"), rows, claims)


if __name__ == "__main__":
    main()
