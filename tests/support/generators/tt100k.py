"""TT100K as its authors distribute it: one annotations.json, and square photographs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from generators.canvas import background, colour_of

from umbel import keyed_generator, write_image

FULL = 2048
USUAL = ("pn", "pne", "i5", "p11", "pl40", "w57")  # of the 45
RARE = ("p1", "w66", "i14")  # signs of categories outside the 45
TYPES = tuple(sorted((*USUAL, *RARE)))


def write_tt100k(root: Path, train: int = 3, val: int = 1, side: int = FULL, val_side: int | None = None) -> Path:
    """annotations.json, train/ID.jpg and test/ID.jpg; returns `root`. Every image holds signs, one of them rare."""
    images = {}
    for split, count, pixels in (("train", train, side), ("test", val, val_side or side)):
        for index in range(count):
            number = 10 * index + (3 if split == "train" else 7)
            picture, objects = scene(pixels, keyed_generator("tt100k", split, index))
            path = f"{split}/{number}.jpg"
            write_image(root / path, picture)
            images[str(number)] = {"path": path, "id": number, "objects": objects}
    (root / "annotations.json").write_text(json.dumps({"imgs": images, "types": list(TYPES)}))
    return root


def scene(side: int, rng: np.random.Generator) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """(side, side, 3) uint8 and its signs: round ones of 0.8 to 6 percent of the side, as in the real photographs."""
    image = background((side, side), rng)
    objects: list[dict[str, Any]] = []
    categories = [*rng.choice(USUAL, 6).tolist(), str(rng.choice(RARE))]
    columns = rng.permutation(len(categories))  # a column each, so that none hides another
    for column, category in zip(columns.tolist(), categories, strict=True):
        diameter = side * float(rng.uniform(0.008, 0.06))
        x = side * (column + 0.5) / len(categories)
        y = float(rng.uniform(0.1, 0.9)) * side
        radius = max(2, round(diameter / 2))
        colour = colour_of(TYPES.index(category))
        cv2.circle(image, (round(x), round(y)), radius, (240, 240, 240), -1, cv2.LINE_AA)
        cv2.circle(image, (round(x), round(y)), max(1, radius * 3 // 4), colour, -1, cv2.LINE_AA)
        bbox = {"xmin": x - radius, "ymin": y - radius, "xmax": x + radius, "ymax": y + radius}
        objects.append({"category": category, "bbox": bbox, "ellipse_org": [], "ellipse": []})
    return image, objects
