"""Recognising folders that have no validation split, and leaving alone those that have one."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from generators import unsplit

from umbel.contract.errors import DataError
from umbel.registry.plugins import Plugins
from umbel.workflows.init.detect import Start, start_task

Make = Callable[[Path], None]


@pytest.fixture(scope="module")
def plugins() -> Plugins:
    return Plugins.discover()


def yaml_of(text: str) -> Make:
    """YOLO data with a data.yaml."""

    def make(root: Path) -> None:
        unsplit.yolo(root)
        (root / "classes.txt").unlink()
        (root / "data.yaml").write_text(f"names: [car, sign]\n{text}")

    return make


def listed(root: Path) -> None:
    unsplit.masks(root)
    (root / "train.txt").write_text("p0\np1\np2\n")


def train_folder(root: Path) -> None:
    unsplit.class_tree(root / "train")


def voc_list(name: str) -> Make:
    def make(root: Path) -> None:
        unsplit.voc(root)
        (root / "ImageSets/Main").mkdir(parents=True)
        (root / f"ImageSets/Main/{name}.txt").write_text("p0\np1\np2\n")

    return make


YOLO = {"format": "yolo", "train_images": "images"}
CASES: dict[str, tuple[str, Make, dict[str, Any], int]] = {
    "class folders": ("classification", unsplit.class_tree, {"format": "folders", "train": "."}, 12),
    "training classes only": ("classification", train_folder, {"format": "folders"}, 12),
    "masks": ("segmentation", unsplit.masks, {"format": "folders", "train_list": None}, 5),
    "masks with a training list": ("segmentation", listed, {"format": "folders"}, 3),
    "COCO beside the folder": (
        "detection", unsplit.coco, {"train_annotations": "labels.json", "train_images": "pictures"}, 5,
    ),
    "COCO among the images": (
        "detection", partial(unsplit.coco, file="pictures/_annotations.coco.json"),
        {"train_annotations": "pictures/_annotations.coco.json", "train_images": "pictures"}, 5,
    ),
    "COCO in a folder of its own": (
        "detection", partial(unsplit.coco, file="annotations/all.json", images="images"),
        {"train_annotations": "annotations/all.json", "train_images": "images"}, 5,
    ),
    "YOLO with classes.txt": ("detection", unsplit.yolo, {**YOLO, "train_annotations": "classes.txt"}, 5),
    "YOLO with classes.txt among the labels": (
        "detection", partial(unsplit.yolo, names="labels/classes.txt"),
        {**YOLO, "train_annotations": "labels/classes.txt"}, 5,
    ),
    "YOLO labels beside the images": (
        "detection", partial(unsplit.yolo, inside=False),
        {"train_annotations": "classes.txt", "train_images": "."}, 5,
    ),
    "YOLO with names only": ("detection", yaml_of(""), YOLO, 5),
    "YOLO with training images only": ("detection", yaml_of("train: images\n"), {"format": "yolo"}, 5),
    "YOLO that validates what it trains on": ("detection", yaml_of("train: images\nval: images\n"), {}, 5),
    "VOC without lists": (
        "detection", unsplit.voc, {"train_annotations": "Annotations", "train_images": "JPEGImages"}, 5,
    ),
    "VOC by other names": (
        "detection", partial(unsplit.voc, images="images", annotations="annotations"),
        {"train_annotations": "annotations", "train_images": "images"}, 5,
    ),
    "VOC with XML beside the images": (
        "detection", partial(unsplit.voc, images="data", annotations="data"),
        {"train_annotations": "data", "train_images": "data"}, 5,
    ),
    "VOC with one list of all": (
        "detection", voc_list("trainval"), {"format": "voc", "train_list": "ImageSets/Main/trainval.txt"}, 3,
    ),
    "VOC with a training list only": ("detection", voc_list("train"), {"format": "voc"}, 3),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_unsplit_folders_are_recognised_and_a_fifth_is_held_out(case: str, tmp_path: Path, plugins: Plugins) -> None:
    kind, make, options, count = CASES[case]
    make(tmp_path / "set")
    start = start_task("", tmp_path / "set", None, plugins)
    assert start.kind == kind
    assert start.detected.holdout == 0.2
    assert start.detected.options == {**start.detected.options, **options, "root": str(tmp_path / "set")}
    assert sum(start.counts.values()) == count
    assert start.counts["val"] == max(1, round(count * 0.2))


def start(folder: Path, plugins: Plugins) -> Start:
    return start_task("", folder, None, plugins)


def test_own_splits_are_kept(tmp_path: Path, plugins: Plugins) -> None:
    unsplit.masks(tmp_path / "seg")
    for split, stems in (("train", "p0\np1\np2"), ("val", "p3\np4")):
        (tmp_path / f"seg/{split}.txt").write_text(stems)
        unsplit.class_tree(tmp_path / "cls" / split)
        unsplit.yolo(tmp_path / "det" / split)
        unsplit.coco(tmp_path / "coco", f"annotations/{split}.json", split)
    (tmp_path / "det/data.yaml").write_text("names: [car, sign]\ntrain: train/images\nval: val/images\n")
    counts = {"seg": (3, 2), "cls": (12, 12), "det": (5, 5), "coco": (5, 5)}
    for name, (train, val) in counts.items():
        found = start(tmp_path / name, plugins)
        assert found.detected.holdout == 0
        assert found.counts == {"train": train, "val": val}


def test_folders_of_splits_are_no_classes(tmp_path: Path, plugins: Plugins) -> None:
    for name in ("train", "test"):
        unsplit.pictures(tmp_path / name)
    with pytest.raises(DataError, match="is no data set"):
        start(tmp_path, plugins)


def test_a_single_folder_is_no_set_of_classes(tmp_path: Path, plugins: Plugins) -> None:
    unsplit.pictures(tmp_path / "cars")
    with pytest.raises(DataError, match="is no data set"):
        start(tmp_path, plugins)


def test_two_coco_files_are_not_one_set(tmp_path: Path, plugins: Plugins) -> None:
    unsplit.coco(tmp_path)
    shutil.copy(tmp_path / "labels.json", tmp_path / "more.json")
    with pytest.raises(DataError, match="is no data set"):
        start(tmp_path, plugins)


@pytest.mark.parametrize("content", ["[1, 2", '{"images": 3}', "[]", '{"imgs": {}, "types": []}'])
def test_other_json_files_do_not_matter(content: str, tmp_path: Path, plugins: Plugins) -> None:
    unsplit.coco(tmp_path)
    (tmp_path / "notes.json").write_text(content)
    assert start(tmp_path, plugins).detected.options["train_annotations"] == "labels.json"


def test_files_of_class_names_that_are_missing_are_asked_for(tmp_path: Path, plugins: Plugins) -> None:
    unsplit.yolo(tmp_path / "det")
    unsplit.masks(tmp_path / "seg")
    for name in ("det", "seg"):
        (tmp_path / name / "classes.txt").unlink()
        with pytest.raises(DataError, match=r"classes\.txt: no such file.*one class name a line"):
            start(tmp_path / name, plugins)


@pytest.mark.parametrize(("names", "message"), [("", "names no class"), ("car\ncar\n", "given twice")])
def test_lists_of_class_names_are_checked(names: str, message: str, tmp_path: Path, plugins: Plugins) -> None:
    unsplit.yolo(tmp_path)
    (tmp_path / "classes.txt").write_text(names)
    with pytest.raises(DataError, match=message):
        start(tmp_path, plugins)


def test_a_mask_without_its_image_is_named(tmp_path: Path, plugins: Plugins) -> None:
    unsplit.masks(tmp_path)
    (tmp_path / "images/p3.png").unlink()
    with pytest.raises(DataError, match=r"holds no p3\.\*, the mate of .*masks/p3\.png"):
        start(tmp_path, plugins)


def test_one_image_is_too_little(tmp_path: Path, plugins: Plugins) -> None:
    unsplit.masks(tmp_path)
    for path in (*tmp_path.glob("images/p[1-9].png"), *tmp_path.glob("masks/p[1-9].png")):
        path.unlink()
    with pytest.raises(DataError, match="cannot divide 1 sample into training and validation"):
        start(tmp_path, plugins)
