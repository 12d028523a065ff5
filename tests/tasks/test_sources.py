"""What a run remembers of real data: the built-in tasks notice every change of a file, a label and a list."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import umbel
from umbel.data.fingerprint import Fingerprint, take_fingerprint
from umbel.data.fingerprint_diff import changes

Write = Callable[[Path], dict[str, Any]]


def picture(path: Path, seed: int) -> None:
    umbel.write_image(path, np.random.default_rng(seed).integers(0, 255, (32, 48, 3), np.uint8))


def classes(root: Path) -> dict[str, Any]:
    for index, name in enumerate(("cat/a", "cat/b", "dog/c")):
        picture(root / f"train/{name}.png", index)
    return {"kind": "classification", "options": {"root": str(root)}}


def listed(root: Path) -> dict[str, Any]:
    for index, name in enumerate("abc"):
        picture(root / f"train/{name}.png", index)
    (root / "train.txt").write_text("a.png 0\nb.png 1\nc.png 1\n")
    return {"kind": "classification", "options": {"root": str(root), "format": "list"}}


def masks(root: Path) -> dict[str, Any]:
    for index, name in enumerate("abc"):
        picture(root / f"images/{name}.png", index)
        (root / "masks").mkdir(exist_ok=True)
        umbel.write_image(root / f"masks/{name}.png", np.full((32, 48, 3), index % 2, np.uint8))
    (root / "train.txt").write_text("a\nb\nc\n")
    (root / "classes.txt").write_text("road\nsky\n")
    return {"kind": "segmentation", "options": {"root": str(root)}}


def polygons(root: Path) -> dict[str, Any]:
    for index, name in enumerate("abc"):
        picture(root / f"images/{name}.png", index)
    shape = {"label": "road", "points": [[1, 1], [20, 1], [20, 20]]}
    other = {"label": "sky", "points": [[5, 5], [20, 5], [20, 20]]}
    content = {f"{name}.png": [shape, other] for name in "abc"}
    umbel.write_json(root / "polygons_train.json", content)
    return {"kind": "segmentation", "options": {"root": str(root), "format": "polygons"}}


def boxes(root: Path) -> dict[str, Any]:
    entries: dict[str, list[Any]] = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "sign"}]}
    for index, name in enumerate("abc", start=1):
        picture(root / f"train/{name}.png", index)
        entries["images"].append({"id": index, "file_name": f"{name}.png", "width": 48, "height": 32})
        box = {"id": index, "image_id": index, "category_id": 1, "bbox": [2, 2, 20, 20]}
        entries["annotations"].append(box)
    umbel.write_json(root / "annotations/train.json", entries)
    return {"kind": "detection", "options": {"root": str(root), "format": "coco"}}


def edit(path: Path, change: Callable[[Any], None]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def taken(config: dict[str, Any]) -> Fingerprint:
    tree = {"tasks": {"it": {**config, "input_size": [32, 64]}}, "backbone": {"options": {"model": "resnet18"}}}
    _, tasks = umbel.open_tasks(umbel.literal(tree))
    return take_fingerprint(tasks["it"], tasks["it"].dataset("train"), "train")


@pytest.mark.parametrize(
    ("write", "change", "said"),
    [
        (classes, lambda root: picture(root / "train/cat/b.png", 9), ["other files of 1 sample: cat/b.png"]),
        (classes, lambda root: picture(root / "train/cat/new.png", 9), ["1 sample added: cat/new.png"]),
        (classes, lambda root: (root / "train/cat/b.png").rename(root / "train/dog/b.png"),
         ["1 sample added: dog/b.png", "1 sample removed: cat/b.png"]),
        (listed, lambda root: (root / "train.txt").write_text("a.png 1\nb.png 1\nc.png 1\n"),
         ["another label of 1 sample: a.png"]),
        (listed, lambda root: (root / "train.txt").write_text("c.png 1\na.png 0\nb.png 1\n"),
         ["reordered, from 'c.png' on"]),
        (masks, lambda root: umbel.write_image(root / "masks/b.png", np.zeros((32, 48, 3), np.uint8)),
         ["other files of 1 sample: b"]),
        (masks, lambda root: (root / "train.txt").write_text("a\nc\n"), ["1 sample removed: b"]),
        (polygons, lambda root: edit(root / "polygons_train.json", lambda c: c["b.png"][0]["points"][0].reverse()), []),
        (polygons, lambda root: edit(root / "polygons_train.json", lambda c: c["b.png"][0]["points"][1].reverse()),
         ["another label of 1 sample: b.png"]),
        (polygons, lambda root: edit(root / "polygons_train.json", lambda c: c["c.png"].reverse()),
         ["another label of 1 sample: c.png"]),
        (boxes, lambda root: edit(root / "annotations/train.json", lambda c: c["annotations"][0]["bbox"].reverse()),
         ["another label of 1 sample: a.png"]),
        (boxes, lambda root: edit(root / "annotations/train.json", lambda c: c["annotations"].pop()),
         ["another label of 1 sample: c.png"]),
        (boxes, lambda root: edit(root / "annotations/train.json", lambda c: c["images"].reverse()),
         ["reordered, from 'c.png' on"]),
        (boxes, lambda root: edit(root / "annotations/train.json", lambda c: c.update(info={"by": "x"})), []),
    ],
)  # fmt: skip
def test_change_of_real_data_is_named(
    write: Write, change: Callable[[Path], object], said: list[str], tmp_path: Path
) -> None:
    root = tmp_path / "data ${x}"
    config = write(root)
    before = taken(config)
    assert changes(before, taken(config)) == []
    change(root)
    assert changes(before, taken(config)) == said
