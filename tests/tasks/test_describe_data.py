"""What the built-in tasks say about their data, against counts made by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import umbel
from umbel import write_bytes, write_image


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Four images of two classes each; the third class never occurs in the boxes."""
    grey = np.full((40, 80, 3), 90, np.uint8)
    for split in ("train", "val"):
        for name in ("cat", "dog"):
            for number in range(3 if name == "cat" else 1):
                write_image(tmp_path / "cls" / split / name / f"{number}.jpg", grey)
        boxes = [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 4, 20], "iscrowd": 0},
            {"id": 2, "image_id": 1, "category_id": 2, "bbox": [10, 10, 60, 20], "iscrowd": 0},
            {"id": 3, "image_id": 1, "category_id": 2, "bbox": [10, 10, 60, 20], "iscrowd": 1},
        ]
        images = [{"id": k, "file_name": f"{k}.jpg", "height": 40, "width": 80} for k in (1, 2)]
        categories = [{"id": k, "name": name} for k, name in enumerate("abc", 1)]
        content = {"images": images, "annotations": boxes, "categories": categories}
        write_bytes(tmp_path / "det" / "annotations" / f"{split}.json", json.dumps(content).encode())
        for k in (1, 2):
            write_image(tmp_path / "det" / split / f"{k}.jpg", grey)
        write_bytes(tmp_path / "seg" / f"{split}.txt", b"x\n")
    mask = np.zeros((40, 80), np.uint8)
    mask[:, 20:] = 1
    mask[:20] = 255
    write_image(tmp_path / "seg" / "images" / "x.jpg", grey)
    write_image(tmp_path / "seg" / "masks" / "x.png", mask)
    write_bytes(tmp_path / "seg" / "classes.txt", b"sky\nroad\n")
    return tmp_path


def task(kind: str, root: Path) -> umbel.Task[object]:
    config = {"kind": kind, "batch_size": 2, "input_size": [32, 64], "options": {"root": str(root)}}
    _, tasks = umbel.open_tasks({"tasks": {"it": config}, "backbone": {"options": {"model": "resnet18"}}})
    return tasks["it"]


def test_segmentation_counts_pixels(data: Path) -> None:
    classes, sizes = task("segmentation", data / "seg").describe_data("train")
    assert classes.rows == (("sky", 400, 0.25), ("road", 1200, 0.75), ("(unlabelled)", 1600, 0.5))
    assert sizes.rows[0] == ("height", 40, 40, 40, 32, 0.8)


def test_classification_counts_images(data: Path) -> None:
    classes, sizes = task("classification", data / "cls").describe_data("val")
    assert classes.rows == (("cat", 3, 0.75), ("dog", 1, 0.25))
    assert "4 images" in sizes.title


def test_detection_counts_objects_and_measures_them_as_the_network_sees_them(data: Path) -> None:
    classes, objects, _ = task("detection", data / "det").describe_data("train")
    assert [row[:2] for row in classes.rows] == [("a", 1), ("b", 1), ("c", 0)]  # the crowd box does not count
    assert classes.findings == ("no objects of c",)
    # 80 x 40 pixels shown as 64 x 32: the boxes' shorter sides are 4 * 0.8 and 20 * 0.8
    assert [row[:2] for row in objects.rows][:3] == [("0 to 8", 1), ("8 to 16", 0), ("16 to 32", 1)]
    assert "50% of the objects are below 8 pixels" in objects.findings[0]
    assert objects.findings[1] == "1 of 2 images have no object"
