"""Formats that the corpus does not use name all faults of a file too, and go on after the first."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from corpus.tree import picture, save

from umbel import Task, TaskConfig
from umbel.contract.dataset_report import Finding
from umbel.tasks.classification.options import ClassificationOptions
from umbel.tasks.classification.task import Classification
from umbel.tasks.detection.options import DetectionOptions
from umbel.tasks.detection.task import Detection
from umbel.tasks.segmentation.options import SegmentationOptions
from umbel.tasks.segmentation.task import Segmentation
from umbel.workflows.check.check import check_data


def kinds(task: Task[Any]) -> dict[str, list[str]]:
    """Kinds of the findings by name of the file, without line numbers."""
    found: dict[str, list[str]] = {}
    findings: tuple[Finding, ...] = check_data({"t": task}, workers=0).findings
    for finding in findings:
        found.setdefault(Path(finding.file).name.split(":")[0], []).append(finding.kind)
    return found


def detection(root: Path, format: str) -> Detection:
    return Detection("t", TaskConfig("detection", 1, (32, 32)), DetectionOptions(root=str(root), format=format))


def test_yolo(tmp_path: Path) -> None:
    for split in ("train", "val"):
        save(tmp_path / "images" / split / "a.jpg", picture("yolo", split))
        (tmp_path / "labels" / split).mkdir(parents=True)
        (tmp_path / "labels" / split / "a.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    (tmp_path / "data.yaml").write_text("names: [stop]\ntrain: images/train\nval: images/val\n")
    assert kinds(detection(tmp_path, "yolo")) == {}
    lines = (
        "7 .5 .5 .1 .1",
        "0 .5 .5 .1",
        "x .5 .5 .1 .1",
        "0 nan .5 .1 .1",
        "0 .5 .5 0 .1",
        "0 3 3 .1 .1",
        "0 .2 .2 .1 .1",
    )
    (tmp_path / "labels/train/a.txt").write_text("\n".join(lines))
    found = kinds(detection(tmp_path, "yolo"))
    assert sorted(found["a.txt"]) == ["annotation", "annotation", "box-degenerate", "box-nan", "box-outside", "label"]


def test_voc(tmp_path: Path) -> None:
    box = "<bndbox><xmin>{}</xmin><ymin>2</ymin><xmax>{}</xmax><ymax>20</ymax></bndbox>"
    whole = f"<object><name>car</name>{box.format(2, 20)}</object>"
    for split in ("train", "val"):
        save(tmp_path / split / "a.jpg", picture("voc", split))
        (tmp_path / split / "a.xml").write_text(f"<annotation>{whole}</annotation>")
    assert kinds(detection(tmp_path, "voc")) == {}
    spoilt = f"<object>{box.format(2, 9)}</object><object><name>car</name></object>{whole}"
    spoilt += (
        f"<object><name>car</name>{box.format('x', 9)}</object><object><name>car</name>{box.format(9, 2)}</object>"
    )
    (tmp_path / "train/a.xml").write_text(f"<annotation>{spoilt}</annotation>")
    (tmp_path / "train/b.xml").write_text("<annotation><object>")
    (tmp_path / "train/c.xml").write_text(f"<annotation>{whole}</annotation>")
    found = kinds(detection(tmp_path, "voc"))
    assert sorted(set(found["a.xml"])) == ["annotation", "box-inverted"]
    assert found["a.xml"].count("annotation") >= 3
    assert set(found["b.xml"]) == {"annotation"}
    assert set(found["c.xml"]) == {"missing-pair"}


def classification(root: Path, format: str) -> Classification:
    return Classification(
        "t", TaskConfig("classification", 1, (32, 32)), ClassificationOptions(root=str(root), format=format)
    )


def test_table(tmp_path: Path) -> None:
    for split in ("train", "val"):
        save(tmp_path / f"{split}.jpg", picture("csv", split))
        (tmp_path / f"{split}.csv").write_text(f"image,label\n{split}.jpg,car\n")
    assert kinds(classification(tmp_path, "csv")) == {}
    rows = ("train.jpg,car", "train.jpg,car", "gone.jpg,car", "../out.jpg,car", "/etc/passwd,car", "x.jpg", "y.jpg,")
    (tmp_path / "train.csv").write_text("image,label\n" + "\n".join(rows))
    found = kinds(classification(tmp_path, "csv"))
    assert sorted(set(found["train.csv"])) == ["annotation", "duplicate-id", "path-escape"]
    assert found["train.csv"].count("path-escape") == 2
    assert found["gone.jpg"] == ["missing"]


def test_list(tmp_path: Path) -> None:
    for split in ("train", "val"):
        save(tmp_path / split / "a.jpg", picture("list", split))
        (tmp_path / f"{split}.txt").write_text("a.jpg 0\n")
    (tmp_path / "classes.txt").write_text("car\n")
    assert kinds(classification(tmp_path, "list")) == {}
    (tmp_path / "train.txt").write_text("a.jpg 0\nb.jpg 5\nc.jpg x\nd.jpg -1\n../e.jpg 0\n")
    found = kinds(classification(tmp_path, "list"))
    assert sorted(set(found["train.txt"])) == ["annotation", "label", "path-escape"]


def test_polygons(tmp_path: Path) -> None:
    square = {"label": "road", "points": [[1, 1], [20, 1], [20, 20]]}
    for split in ("train", "val"):
        save(tmp_path / "images" / f"{split}.png", picture("polygons", split))
        (tmp_path / f"polygons_{split}.json").write_text(json.dumps({f"{split}.png": [square]}))
    options = SegmentationOptions(root=str(tmp_path), format="polygons", background="rest")
    task = Segmentation("t", TaskConfig("segmentation", 1, (32, 32)), options)
    assert kinds(task) == {}
    spoilt = {
        "train.png": [square], "gone.png": [square], "../out.png": [square],
        "b.png": [{"label": "road", "points": [[1, 1]]}], "c.png": [{"points": []}],
    }  # fmt: skip
    (tmp_path / "polygons_train.json").write_text(json.dumps(spoilt))
    found = kinds(Segmentation("t", TaskConfig("segmentation", 1, (32, 32)), options))
    assert sorted(set(found["polygons_train.json"])) == ["annotation", "path-escape"]
    assert found["gone.png"] == ["missing"]
