"""Small data sets without a validation split, as people keep them: one function a layout, all of noise."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from umbel import write_image

COUNT = 5
SIZE = (64, 96)


def pictures(folder: Path, count: int = COUNT, prefix: str = "p") -> list[str]:
    """Different pictures in a folder; their stems."""
    rng = np.random.default_rng(sum(map(ord, folder.name + prefix)))
    stems = [f"{prefix}{number}" for number in range(count)]
    for stem in stems:
        write_image(folder / f"{stem}.png", rng.integers(0, 256, (*SIZE, 3)).astype(np.uint8))
    return stems


def class_tree(root: Path) -> None:
    """ROOT/CLASS/*; one class is rare."""
    for name, count in (("bus", 2), ("car", 6), ("train", 4)):
        pictures(root / name, count)


def masks(root: Path) -> None:
    """ROOT/images and ROOT/masks."""
    rng = np.random.default_rng(0)
    for stem in pictures(root / "images"):
        write_image(root / "masks" / f"{stem}.png", rng.integers(0, 2, SIZE).astype(np.uint8))
    (root / "classes.txt").write_text("road\nother\n")


def coco(root: Path, file: str = "labels.json", images: str = "pictures") -> None:
    """One COCO file and a folder of images."""
    stems = pictures(root / images)
    content = {
        "images": [{"id": k, "file_name": f"{stem}.png"} for k, stem in enumerate(stems)],
        "annotations": [
            {"id": k, "image_id": k, "category_id": k % 2, "bbox": [8, 8, 40, 30]} for k in range(len(stems))
        ],
        "categories": [{"id": 0, "name": "car"}, {"id": 1, "name": "sign"}],
    }
    (root / file).parent.mkdir(exist_ok=True)
    (root / file).write_text(json.dumps(content))


def yolo(root: Path, names: str = "classes.txt", inside: bool = True) -> None:
    """ROOT/images and ROOT/labels, or text files beside the images; class names in a file."""
    images, labels = (root / "images", root / "labels") if inside else (root, root)
    stems = pictures(images)
    labels.mkdir(exist_ok=True)
    for number, stem in enumerate(stems):
        (labels / f"{stem}.txt").write_text(f"{number % 2} 0.5 0.5 0.4 0.6\n")
    (root / names).write_text("car\nsign\n")


def voc(root: Path, images: str = "JPEGImages", annotations: str = "Annotations") -> None:
    """A folder of images and one of XML files."""
    (root / annotations).mkdir(parents=True)
    for number, stem in enumerate(pictures(root / images)):
        name = ("car", "sign")[number % 2]
        box = "<bndbox><xmin>8</xmin><ymin>8</ymin><xmax>48</xmax><ymax>40</ymax></bndbox>"
        text = f"<annotation><object><name>{name}</name>{box}</object></annotation>"
        (root / annotations / f"{stem}.xml").write_text(text)
