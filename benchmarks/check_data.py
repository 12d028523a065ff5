"""Checking data: images a second of `umbel check --data` on photographs of 640 x 480, by number of processes."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path

import cv2
import numpy as np

from umbel import TaskConfig, keyed_generator, write_image
from umbel.inspection.check import check_data
from umbel.tasks.classification.options import ClassificationOptions
from umbel.tasks.classification.task import Classification

GOAL = 150.0  # images a second on two cores


def write_photographs(root: Path, count: int) -> None:
    """JPEG files of about 60 kB."""
    for split, share in (("train", 0.8), ("val", 0.2)):
        for index in range(round(count * share)):
            rng = keyed_generator("check_data", split, index)
            noise = rng.integers(0, 256, (480, 640, 3), dtype=np.uint8)
            write_image(root / split / f"class{index % 4}" / f"{index}.jpg", cv2.GaussianBlur(noise, (15, 15), 3))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--images", type=int, default=1500)
    count = arguments.parse_args().images
    rates, cpu_rates = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        write_photographs(Path(folder), count)
        config = TaskConfig("classification", 1, (224, 224))
        task = Classification("photos", config, ClassificationOptions(root=folder))
        print(f"{'processes':>9} {'images':>7} {'seconds':>8} {'images/s':>9} {'images/CPU s':>13}")
        for workers in (0, 1, 2):
            before = sum(os.times()[:4])
            report = check_data({"photos": task}, workers)
            cpu_rates[workers] = report.files / (sum(os.times()[:4]) - before)  # what a busy machine does not blur
            assert not report.findings, report.findings[:3]
            rates[workers] = report.files / report.seconds
            print(
                f"{workers:9} {report.files:7} {report.seconds:8.1f} {rates[workers]:9.0f} {cpu_rates[workers]:13.0f}"
            )
    print(f"goal: {GOAL:.0f} with 2 processes on 2 cores: {'met' if rates[2] >= GOAL else 'missed'}")
    print(json.dumps({"benchmark": "check_data", "images_per_second": rates, "images_per_cpu_second": cpu_rates}))


if __name__ == "__main__":
    main()
