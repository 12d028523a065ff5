"""Stanford Cars as distributed: photographs and the MATLAB files of its devkit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from generators.canvas import background, colour_of
from PIL import Image
from scipy.io import savemat

from umbel import keyed_generator, write_image

CLASSES = 196
FULL = (360, 570)  # about the mean size of the photographs
GREY = 1  # this photograph of each folder has one channel, as some of the real ones
TRAIN_FIELDS = ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2", "class", "fname")
TEST_FIELDS = ("bbox_y1", "bbox_x1", "bbox_y2", "bbox_x2", "fname", "class")  # the files differ in their order


def write_stanford_cars(root: Path, train: int = 12, val: int = 3, size: tuple[int, int] = FULL) -> Path:
    """cars_train/, cars_test/, devkit/ and cars_test_annos_withlabels.mat; returns `root`."""
    devkit = root / "devkit"
    devkit.mkdir(parents=True)
    names = np.empty((1, CLASSES), object)
    names[0] = [f"Maker Model {class_id} Sedan {1990 + class_id % 23}" for class_id in range(1, CLASSES + 1)]
    savemat(devkit / "cars_meta.mat", {"class_names": names})
    test = _folder(root / "cars_test", val, size)
    _annotate(devkit / "cars_train_annos.mat", _folder(root / "cars_train", train, size), TRAIN_FIELDS)
    _annotate(root / "cars_test_annos_withlabels.mat", test, TEST_FIELDS)
    _annotate(devkit / "cars_test_annos.mat", test, [field for field in TRAIN_FIELDS if field != "class"])
    return root


def _folder(folder: Path, count: int, size: tuple[int, int]) -> list[dict[str, Any]]:
    """Writes photographs of ever other sizes; gives their annotations, classes from 1."""
    entries = []
    for index in range(count):
        rng = keyed_generator("stanford_cars", folder.name, index)
        height, width = (int(side * rng.uniform(0.7, 1.3)) for side in size)
        class_id = 1 + (index * 37) % CLASSES
        image = background((height, width), rng)
        box = (width // 8, height // 3, width * 7 // 8, height * 5 // 6)
        cv2.rectangle(image, box[:2], box[2:], colour_of(class_id), -1)
        for x in (width // 4, width * 3 // 4):
            cv2.circle(image, (x, box[3]), height // 10, (20, 20, 20), -1)
        name = f"{index + 1:05d}.jpg"
        if index == GREY:
            Image.fromarray(image[:, :, 0]).save(folder / name, quality=95)
        else:
            write_image(folder / name, image)
        sides = {
            f"bbox_{side}": np.uint16(value + 1) for side, value in zip(("x1", "y1", "x2", "y2"), box, strict=True)
        }
        entries.append({**sides, "class": np.uint8(class_id), "fname": name})
    return entries


def _annotate(path: Path, entries: Sequence[dict[str, Any]], fields: Sequence[str]) -> None:
    table = np.empty((1, len(entries)), dtype=[(field, object) for field in fields])
    for column, entry in enumerate(entries):
        table[0, column] = tuple(entry[field] for field in fields)
    savemat(path, {"annotations": table})
