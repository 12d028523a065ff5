"""Data on disk for the three built-in tasks, and a recipe that reads it: a few images of two coloured boxes each."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from umbel import keyed_generator, write_image, write_json

RECIPE = """
backbone: {{name: timm, options: {{model: convnext_atto, model_args: {{depths: [1, 1, 1, 1], dims: [8, 8, 8, 8]}}}}}}
tasks:
  road:
    kind: segmentation
    batch_size: 2
    input_size: [64, 64]
    tta: {{scales: [1.0, 1.5], hflip: true}}
    options: {{root: "{root}/road", width: 8, aux_width: 8}}
  vehicles:
    kind: classification
    batch_size: 2
    input_size: [64, 64]
    tta: {{scales: [1.0, 1.5], hflip: true}}
    options: {{root: "{root}/vehicles", mid_channels: 8}}
  signs:
    kind: detection
    batch_size: 2
    input_size: [64, 64]
    tta: {{scales: [1.0, 1.5], hflip: true}}
    options: {{root: "{root}/signs", neck_channels: [8, 8, 8], depth_mult: 0.33, no_crop_prob: 1.0}}
optim: {{lr: 0.001, warmup_steps: 2}}
train: {{steps: 4, seed: 0, log_every: 2}}
"""
IMAGES = 4  # a split and task
SIZE = (64, 96)


def write_trio(folder: Path) -> Path:
    """Write data and recipe into a folder; the recipe's path."""
    for split in ("train", "val"):
        images, boxes = [], []
        for index in range(IMAGES):
            rng = keyed_generator(split, index)
            image = rng.integers(60, 120, (*SIZE, 3)).astype(np.uint8)
            labels = np.zeros(SIZE, np.uint8)
            for k in range(2):
                x, y = int(rng.integers(2, 16) + 40 * k), int(rng.integers(4, 30))
                image[y : y + 20, x : x + 24] = (230, 30, 30) if k else (30, 30, 230)
                labels[y : y + 20, x : x + 24] = k + 1
                box = {"id": 2 * index + k + 1, "image_id": index + 1, "category_id": k + 1, "bbox": [x, y, 24, 20]}
                boxes.append({**box, "area": 480, "iscrowd": 0})
            write_image(folder / "signs" / split / f"{index}.png", image)
            write_image(folder / "road" / "images" / f"{split}{index}.png", image)
            write_image(folder / "road" / "masks" / f"{split}{index}.png", labels)
            write_image(folder / "vehicles" / split / ("car", "bus")[index % 2] / f"{index}.png", image)
            images.append({"id": index + 1, "file_name": f"{index}.png", "width": SIZE[1], "height": SIZE[0]})
        categories = [{"id": 1, "name": "stop"}, {"id": 2, "name": "yield"}]
        content = {"images": images, "annotations": boxes, "categories": categories}
        write_json(folder / "signs" / "annotations" / f"{split}.json", content)
        (folder / "road" / f"{split}.txt").write_text("".join(f"{split}{index}\n" for index in range(IMAGES)))
    (folder / "road" / "classes.txt").write_text("field\nlane\nkerb")
    path = folder / "recipe.yaml"
    path.write_text(RECIPE.format(root=folder))
    return path
