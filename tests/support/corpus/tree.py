"""A small sound data set of three tasks, written afresh for every fault."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from umbel import Task, TaskConfig, keyed_generator
from umbel.tasks.classification.options import ClassificationOptions
from umbel.tasks.classification.task import Classification
from umbel.tasks.detection.options import DetectionOptions
from umbel.tasks.detection.task import Detection
from umbel.tasks.segmentation.options import SegmentationOptions
from umbel.tasks.segmentation.task import Segmentation

HEIGHT, WIDTH = 40, 56
COUNTS = {"train": 3, "val": 2}


def picture(*key: object, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """(H, W, 3) uint8: smooth noise, its own for every key."""
    rng = keyed_generator("corpus", *key)
    coarse = rng.integers(0, 256, (-(-height // 6) + 1, -(-width // 6) + 1, 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def save(path: Path, pixels: np.ndarray, **options: Any) -> None:
    """Write pixels by Pillow, in the format of the suffix unless `format` says otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


@dataclass(frozen=True)
class Tree:
    """A data set on the disk: seg (folders), cls (folders), det (COCO)."""

    root: Path

    @property
    def image(self) -> Path:
        """A training image of the classification task."""
        return self.root / "cls/train/car/0.jpg"

    @property
    def mask(self) -> Path:
        return self.root / "seg/masks/train_0.png"

    @property
    def coco(self) -> Path:
        return self.root / "det/annotations/train.json"

    def change_coco(self, **changes: Any) -> Path:
        """Change parts of the training annotations; a callable gets the old part."""
        content = json.loads(self.coco.read_text())
        for key, change in changes.items():
            content[key] = change(content[key]) if callable(change) else change
        self.coco.write_text(json.dumps(content))
        return self.coco

    def tasks(self) -> dict[str, Task[Any]]:
        return {
            "road": Segmentation(
                "road", TaskConfig("segmentation", 1, (32, 32)), SegmentationOptions(root=str(self.root / "seg"))
            ),
            "cars": Classification(
                "cars", TaskConfig("classification", 2, (32, 32)), ClassificationOptions(root=str(self.root / "cls"))
            ),
            "signs": Detection(
                "signs", TaskConfig("detection", 1, (32, 32)), DetectionOptions(root=str(self.root / "det"))
            ),
        }

    def digest(self) -> str:
        """Of every name, time of change and byte."""
        total = hashlib.sha256()
        for path in sorted(self.root.rglob("*")):
            status = path.lstat()
            total.update(f"{path}|{status.st_mtime_ns}|{status.st_mode}|{status.st_size}".encode("utf-8", "replace"))
            if path.is_file() and not path.is_symlink():
                total.update(path.read_bytes())
        return total.hexdigest()


def write_tree(root: Path) -> Tree:
    """A sound data set."""
    seg, cls, det = (root / name for name in ("seg", "cls", "det"))
    for split, count in COUNTS.items():
        stems = [f"{split}_{k}" for k in range(count)]
        for k, stem in enumerate(stems):
            save(seg / "images" / f"{stem}.jpg", picture("seg", stem))
            labels = np.zeros((HEIGHT, WIDTH), np.uint8)
            labels[:, k * 5 : k * 5 + 20] = 1
            save(seg / "masks" / f"{stem}.png", labels)
            for name in ("car", "bus"):
                save(cls / split / name / f"{k}.jpg", picture("cls", split, name, k))
            save(det / split / f"{k}.jpg", picture("det", split, k))
        (seg / f"{split}.txt").write_text("\n".join(stems) + "\n")
        write_coco(det / "annotations" / f"{split}.json", count)
    (seg / "classes.txt").write_text("road\nsky\n")
    return Tree(root)


def write_coco(path: Path, count: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "images": [{"id": k, "file_name": f"{k}.jpg", "height": HEIGHT, "width": WIDTH} for k in range(count)],
        "annotations": [
            {"id": 10 * k + c, "image_id": k, "category_id": c, "bbox": [4 + 9 * c, 5, 12, 14]}
            for k in range(count)
            for c in (1, 2)
        ],
        "categories": [{"id": 1, "name": "stop"}, {"id": 2, "name": "yield"}],
    }
    path.write_text(json.dumps(content))
