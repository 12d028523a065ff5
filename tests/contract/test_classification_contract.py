"""The built-in classification task keeps the contract."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from umbel import Sample, Task, View, keyed_generator, write_image
from umbel.tasks.classification.prediction import ClassScores
from umbel.tasks.classification.task import Classification
from umbel.testing import TaskContract

COLOURS = {"blue": (30, 60, 200), "green": (40, 180, 60), "red": (210, 40, 40)}


class TestClassification(TaskContract):
    task = Classification
    batch_size = 3

    def write_data(self, folder: Path) -> dict[str, Any]:
        for split in ("train", "val"):
            for name, colour in COLOURS.items():
                noise = keyed_generator(split, name).integers(-30, 30, (48, 64, 3))
                image = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
                write_image(folder / split / name / "one.png", image)
        return {"root": str(folder), "mid_channels": 16}

    def ideal(self, task: Task[Any], sample: Sample, view: View) -> Any:
        return ClassScores(torch.nn.functional.one_hot(torch.tensor(sample.target), 3).float())

    def oracle(self, task: Task[Any], predictions: list[Any], targets: list[Any]) -> dict[str, float]:
        hits = [
            int(max(range(3), key=lambda k: float(p.probabilities[k])) == t)
            for p, t in zip(predictions, targets, strict=True)
        ]
        return {"top1": sum(hits) / len(hits)}
