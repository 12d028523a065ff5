"""BDD100K's semantic segmentation as its first release laid it out."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from generators.canvas import Size, background, colour_of

from umbel import keyed_generator, write_image

FULL = (720, 1280)
ROAD, SIDEWALK, BUILDING, TREES, SKY, CAR = 0, 1, 2, 8, 10, 13
CLASSES, UNLABELLED = 19, 255


def write_bdd100k(root: Path, train: int = 4, val: int = 2, size: Size = FULL, val_size: Size | None = None) -> Path:
    """seg/images/SPLIT/STEM.jpg, seg/labels/SPLIT/STEM_train_id.png and the colour map beside it; returns `root`.

    Every class occurs in every picture, and the bonnet at the bottom is unlabelled.
    """
    for split, count, shape in (("train", train, size), ("val", val, val_size or size)):
        for index in range(count):
            rng = keyed_generator("bdd100k", split, index)
            image, labels = street(shape, rng)
            stem = f"{index:08x}-{rng.integers(2**32):08x}"
            write_image(root / "seg/images" / split / f"{stem}.jpg", image)
            write_image(root / "seg/labels" / split / f"{stem}_train_id.png", labels)
            write_image(root / "seg/labels" / split / f"{stem}_train_color.png", image)
    return root


def street(size: Size, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(H, W, 3) uint8 and (H, W) uint8: sky, houses, trees, a road with cars, and a small patch of each other class."""
    height, width = size
    labels = np.full(size, SKY, np.uint8)
    horizon = int(height * rng.uniform(0.35, 0.5))
    for left in range(0, width, width // 8):
        top = int(rng.uniform(0.1, 0.9) * horizon)
        labels[top:horizon, left : left + width // 10] = rng.choice([BUILDING, TREES])
    labels[horizon:] = SIDEWALK
    corners = [(width * 0.45, horizon), (width * 0.55, horizon), (width, height), (0, height)]
    cv2.fillPoly(labels, [np.array(corners, np.int32)], ROAD)
    for _ in range(3):
        middle = (int(rng.uniform(0.2, 0.8) * width), int(rng.uniform(0.6, 0.85) * height))
        cv2.ellipse(labels, middle, (width // 14, height // 14), 0, 0, 360, CAR, -1)
    patch = max(2, height // 24)
    for class_id in range(CLASSES):
        y, x = int(rng.integers(horizon - patch)), int(rng.integers(width - patch))
        labels[y : y + patch, x : x + patch] = class_id
    labels[-max(1, height // 20) :] = UNLABELLED
    colours = np.array([colour_of(class_id) for class_id in range(256)], np.uint8)
    image = (0.6 * colours[labels] + 0.4 * background(size, rng)).astype(np.uint8)
    return image, labels
