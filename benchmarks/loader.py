"""Loading and augmenting each task's images at the paper's sizes on one core: umbel against a naive pipeline."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from measure import arguments, medians, ratio, side_by_side
from naive import naive_pipeline
from pictures import write_pictures
from report import Claim, milliseconds, publish
from system import CLASSES, CLASSIFICATION, DETECTION, SEGMENTATION, random_target
from torch.utils.data import Dataset

from umbel.contract.types import Sample, SampleKey, Size
from umbel.data.training_view import TrainingView
from umbel.io.images import read_image
from umbel.predict.api import open_tasks

# kind: stored size, training size, target
PAPER = {
    SEGMENTATION: ((720, 1280), (512, 1024), 2.0),
    CLASSIFICATION: ((400, 600), (448, 448), 1.5),
    DETECTION: ((2048, 2048), (1024, 1024), 3.0),
}
OPTIONS: dict[str, dict[str, Any]] = {
    SEGMENTATION: {"scale": [0.5, 2.0], "rotation": 15, "jitter_prob": 0.5, "brightness": 0.4, "contrast": 0.4,
                   "saturation": 0.4, "hue": 18, "blur_prob": 0.3, "blur_kernel": [3, 9]},
    CLASSIFICATION: {"hflip": 0.5, "jitter_prob": 0.5, "saturation": 0.4, "erase_prob": 0.5},
    DETECTION: {"crop_scale": [0.3, 0.6], "hflip": 0.5},
}  # fmt: skip


class Stored(Dataset[Sample]):
    """Files with labels made up once, as a task's own data set would give them."""

    def __init__(self, kind: str, paths: list[Path], size: Size) -> None:
        rng = np.random.default_rng(0)
        self.paths, self.size = paths, size
        self.targets = [random_target(kind, size, rng) for _ in paths]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Sample:
        return Sample(read_image(self.paths[index]), self.targets[index], str(index), self.size)


def training_view(kind: str, data: Stored, size: Size) -> TrainingView:
    """umbel's view of the files: what its loader's workers run."""
    task = {
        "kind": kind,
        "batch_size": 1,
        "input_size": list(size),
        "options": {"root": "none", "class_names": [str(n) for n in range(CLASSES[kind])], **OPTIONS[kind]},
    }
    backbone = {"name": "timm", "options": {"model": "convnext_atto"}}
    _, tasks = open_tasks({"backbone": backbone, "tasks": {"it": task}})
    return TrainingView(tasks["it"], data, 0)


class Epochs:
    """Loads all images once when called, each time as another epoch with other random choices."""

    def __init__(self, view: TrainingView, count: int) -> None:
        self.view, self.count, self.epoch = view, count, 0

    def __call__(self) -> None:
        self.epoch += 1
        for index in range(self.count):
            self.view[[SampleKey(self.epoch, index)]]


def paper_data(quick: bool, count: int) -> Iterator[tuple[str, Stored, Size]]:
    """Every kind with files of the paper's size, small if quick, and its training size; one thread from here on."""
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    with tempfile.TemporaryDirectory() as folder:
        for kind, (stored, size, _) in PAPER.items():
            if quick:
                stored, size = (stored[0] // 4, stored[1] // 4), (128, 128)
            yield kind, Stored(kind, write_pictures(Path(folder), stored, count), stored), size


def main() -> None:
    quick = arguments(__doc__).quick
    count = 2 if quick else 12
    rows, claims = [], []
    for kind, data, size in paper_data(quick, count):
        view, naive = training_view(kind, data, size), naive_pipeline(kind, size)

        def theirs(data: Stored = data, naive: Any = naive) -> None:
            for path, label in zip(data.paths, data.targets, strict=True):
                naive(path, label)

        times = side_by_side({"umbel": Epochs(view, count), "naive": theirs}, 1 if quick else 5)
        rows += [
            (f"{kind}, {name}", milliseconds(value / count), f"{count / value:.1f}")
            for name, value in medians(times).items()
        ]
        claims.append(Claim(f"{kind}: naive / umbel", ratio(times, "naive", "umbel"), PAPER[kind][2], at_most=False))
    publish("loader", ("pipeline, one core", "ms an image", "images/s"), rows, claims)


if __name__ == "__main__":
    main()
