"""The built-in detection task keeps the contract."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from umbel import Sample, Task, View, keyed_generator, write_image, write_json
from umbel.tasks.detection.prediction import Detections
from umbel.tasks.detection.task import Detection
from umbel.testing import TaskContract


class TestDetection(TaskContract):
    task = Detection
    overfit_steps = 120

    def write_data(self, folder: Path) -> dict[str, Any]:
        for split in ("train", "val"):
            images, annotations = [], []
            for index in range(2):
                rng = keyed_generator(split, index)
                image = rng.integers(60, 120, (64, 96, 3)).astype(np.uint8)
                for k in range(2):
                    x, y = int(rng.integers(2, 16) + 40 * k), int(rng.integers(4, 30))
                    image[y : y + 20, x : x + 24] = (230, 30, 30) if k else (30, 30, 230)
                    box = {"id": 2 * index + k + 1, "image_id": index + 1, "category_id": k + 1, "bbox": [x, y, 24, 20]}
                    annotations.append({**box, "area": 480, "iscrowd": 0})
                write_image(folder / split / f"{index}.png", image)
                images.append({"id": index + 1, "file_name": f"{index}.png", "width": 96, "height": 64})
            categories = [{"id": 1, "name": "blue"}, {"id": 2, "name": "red"}]
            content = {"images": images, "annotations": annotations, "categories": categories}
            write_json(folder / "annotations" / f"{split}.json", content)
        return {"root": str(folder), "neck_channels": [8, 8, 8], "depth_mult": 0.33, "no_crop_prob": 1.0}

    def ideal(self, task: Task[Any], sample: Sample, view: View) -> Any:
        boxes = torch.from_numpy(sample.target.boxes_N4).float()
        scale = torch.tensor([view.size[1] / sample.size[1], view.size[0] / sample.size[0]]).repeat(2)
        boxes = boxes * scale
        if view.hflip:
            boxes = torch.stack([view.size[1] - boxes[:, 2], boxes[:, 1], view.size[1] - boxes[:, 0], boxes[:, 3]], 1)
        classes = torch.from_numpy(sample.target.classes_N)
        return Detections(boxes, torch.full((len(boxes),), 0.9), classes, view.canvas or view.size)

    def empty(self, task: Task[Any], sample: Sample) -> Sample:
        return replace(sample, target=sample.target.select(np.zeros(len(sample.target.boxes_N4), bool)))
