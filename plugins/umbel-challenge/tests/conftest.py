"""Small data in the challenge's layout, and predictions for it that are neither perfect nor hopeless."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from umbel import open_tasks, write_image
from umbel.tasks.classification.prediction import ClassScores
from umbel.tasks.detection.prediction import Detections
from umbel.tasks.segmentation.prediction import LabelMap

CATEGORIES = [{"id": 3, "name": "stop"}, {"id": 7, "name": "yield"}, {"id": 12, "name": "pl50"}]
COUNTS = {"train": 4, "val": 6}
CLASSES = 5


@pytest.fixture
def installed(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plugin is found, whether or not pip has installed it."""
    site = tmp_path_factory.mktemp("site")
    info = site / "umbel_challenge-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: umbel-challenge\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text("[umbel.v1]\nchallenge = umbel_challenge\n")
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.delenv("UMBEL_PLUGINS", raising=False)
    monkeypatch.delenv("UMBEL_DISABLE", raising=False)


@pytest.fixture(scope="session")
def golden() -> Callable[[str], dict[str, Any]]:
    """Reads golden numbers by file name, where they are: beside the repository, or in $UMBEL_SHARED."""
    folder = Path(os.environ.get("UMBEL_SHARED", Path(__file__).resolve().parents[4] / "shared")) / "golden"

    def read(name: str) -> dict[str, Any]:
        if not (folder / name).is_file():
            pytest.skip(f"golden numbers {name} are not in {folder}")
        content: dict[str, Any] = json.loads((folder / name).read_text())
        return content

    return read


@pytest.fixture(scope="session")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """track1_train_data: seg with odd sizes and 19 classes, cls with 5, dec with category ids 3, 7, 12."""
    root = tmp_path_factory.mktemp("track1_train_data")
    rng = np.random.default_rng(5)
    for split, count in COUNTS.items():
        entries, images, boxes = [], [], []
        for index in range(count):
            height, width = (int(side) for side in rng.integers(41, 90, 2))
            labels = np.kron(rng.integers(0, 19, (10, 10)), np.ones((9, 9))).astype(np.uint8)[:height, :width]
            labels[rng.random(labels.shape) < 0.05] = 255
            picture = rng.integers(0, 256, (*labels.shape, 3), dtype=np.uint8)
            write_image(root / f"seg/images/{split}/s{index}.jpg", picture)
            write_image(root / f"seg/label/{split}/s{index}.png", labels)
            number = (index * 2) % CLASSES
            write_image(root / f"cls/{split}/0{index}.jpg", np.full((20, 24, 3), 40 * number + 20, np.uint8))
            entries.append(f"0{index}.jpg {number}")
            write_image(root / f"dec/{split}/d{index}.jpg", rng.integers(0, 256, (64, 80, 3), dtype=np.uint8))
            images.append({"id": 50 - index, "file_name": f"d{index}.jpg", "height": 64, "width": 80})
            for _ in range(int(rng.integers(0, 4)) if index else 2):
                x, y, w, h = (float(value) for value in rng.uniform((0, 0, 10, 10), (40, 30, 35, 30)))
                category = CATEGORIES[int(rng.integers(0, 3))]["id"]
                boxes.append({"id": len(boxes) + 1, "image_id": 50 - index, "category_id": category,
                              "bbox": [x, y, w, h], "area": w * h, "iscrowd": 0})  # fmt: skip
        (root / f"cls/{split}.txt").write_text("\n".join(entries) + "\n")
        content = {"images": images, "annotations": boxes, "categories": CATEGORIES}
        (root / f"dec/{split}.json").write_text(json.dumps(content))
    return root


@pytest.fixture(scope="session")
def recipe(layout: Path) -> dict[str, Any]:
    """A small recipe on the layout."""
    return {
        "backbone": {"name": "timm", "options": {"model": "test_convnext"}},
        "tasks": {
            "road": {
                "kind": "segmentation", "batch_size": 2, "input_size": [64, 64],
                "options": {"root": str(layout), "width": 16, "aux_weight": 0.0},
            },
            "cars": {
                "kind": "classification", "batch_size": 4, "input_size": [32, 32],
                "options": {"root": str(layout), "format": "list", "mid_channels": 16},
            },
            "signs": {
                "kind": "detection", "batch_size": 2, "input_size": [64, 64],
                "tta": {"scales": [1.0, 1.5], "hflip": True},
                "options": {"root": str(layout), "format": "challenge", "neck_channels": [8, 8, 8], "conf": 0.0},
            },
        },
        "train": {"steps": 2, "precision": "fp32"},
        "optim": {"warmup_steps": 1},
    }  # fmt: skip


@pytest.fixture(scope="session")
def guesses(recipe: dict[str, Any]) -> dict[str, list[tuple[Any, Any]]]:
    """Labelled samples with predictions made from their labels by mistakes, by task name."""
    rng = np.random.default_rng(9)
    _, tasks = open_tasks(recipe)
    made: dict[str, list[tuple[Any, Any]]] = {name: [] for name in tasks}
    for name, task in tasks.items():
        data = task.dataset("val")
        for index in range(COUNTS["val"]):
            sample = data[index]
            guess: Callable[[Any, Any], Any] = {"road": _labels, "cars": _class, "signs": _boxes}[name]
            made[name].append((sample, guess(rng, sample)))
    return made


def _labels(rng: np.random.Generator, sample: Any) -> LabelMap:
    wrong = rng.random(sample.target.shape) < 0.2
    labels = np.where(wrong | (sample.target == 255), rng.integers(0, 19, sample.target.shape), sample.target)
    return LabelMap(torch.from_numpy(labels.astype(np.uint8)))


def _class(rng: np.random.Generator, sample: Any) -> ClassScores:
    scores = torch.from_numpy(rng.random(CLASSES)).float()
    scores[sample.target] += float(rng.random() < 0.5)
    return ClassScores(scores.softmax(0))


def _boxes(rng: np.random.Generator, sample: Any) -> Detections:
    truth = np.concatenate([sample.target.boxes_N4] * 2 + [rng.uniform((0, 0, 32, 32), (30, 30, 62, 62), (6, 4))])
    boxes = (truth + rng.normal(0, 2, truth.shape)).clip(0, 80).astype(np.float32)
    classes = np.concatenate([sample.target.classes_N] * 2 + [rng.integers(0, 3, 6)])
    scores = torch.from_numpy(rng.random(len(boxes)).astype(np.float32)).sort(descending=True).values
    return Detections(torch.from_numpy(boxes), scores, torch.from_numpy(classes), sample.size)
