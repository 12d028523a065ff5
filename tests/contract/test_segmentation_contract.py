"""The built-in segmentation task keeps the contract."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import interpolate, one_hot, pad

from umbel import Sample, Task, View, keyed_generator, write_image
from umbel.tasks.segmentation.task import Segmentation
from umbel.testing import TaskContract

NAMES = ("sky", "road", "car")


class TestSegmentation(TaskContract):
    task = Segmentation

    def write_data(self, folder: Path) -> dict[str, Any]:
        for split in ("train", "val"):
            for index in range(2):
                rng = keyed_generator(split, index)
                labels = np.zeros((64, 96), np.uint8)
                labels[30:] = 1
                left = int(rng.integers(4, 20))
                labels[20:50, left : left + 24] = 2
                labels[:3] = 255
                colours = np.array([[60, 120, 220], [90, 90, 90], [200, 40, 40]] + [[0, 0, 0]] * 253)
                image = np.clip(colours[labels] + rng.integers(-20, 20, (64, 96, 3)), 0, 255)
                write_image(folder / "images" / f"{split}{index}.png", image.astype(np.uint8))
                write_image(folder / "masks" / f"{split}{index}.png", labels)
            (folder / f"{split}.txt").write_text(f"{split}0\n{split}1\n")
        (folder / "classes.txt").write_text("\n".join(NAMES))
        return {"root": str(folder), "width": 16, "aux_width": 8, "dropout": 0.0}

    def ideal(self, task: Task[Any], sample: Sample, view: View) -> Any:
        labels = torch.from_numpy(sample.target).long()
        logits = 8 * one_hot(labels.clamp(max=2), 3).permute(2, 0, 1)[None].float()
        logits = interpolate(logits, size=view.size, mode="nearest")
        logits = logits.flip(-1) if view.hflip else logits
        height, width = view.canvas or view.size
        logits = pad(logits, (0, width - view.size[1], 0, height - view.size[0]))
        return task.decode(logits, view)[0]

    def empty(self, task: Task[Any], sample: Sample) -> Sample:
        return replace(sample, target=np.full_like(sample.target, 255))

    def oracle(self, task: Task[Any], predictions: list[Any], targets: list[Any]) -> dict[str, float]:
        ious = []
        for k in range(3):
            overlap = union = 0
            for prediction, target in zip(predictions, targets, strict=True):
                seen, true = prediction.labels.numpy()[target != 255] == k, target[target != 255] == k
                overlap += int((seen & true).sum())
                union += int((seen | true).sum())
            ious.append(overlap / union)
        return {"miou": sum(ious) / 3}
