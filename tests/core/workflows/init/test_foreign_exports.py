"""Exports of tools that divide data into folders or lists of their own naming: recognised with the right counts."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from umbel import DataError, write_image
from umbel.registry.plugins import Plugins
from umbel.workflows.init.detect import start_task

Make = Callable[[Path], None]
SPLITS = (("train", 4), ("valid", 2), ("test", 1))
XML = (
    "<annotation><object><name>ant</name><bndbox><xmin>8</xmin><ymin>8</ymin><xmax>40</xmax><ymax>40</ymax></bndbox>"
    "</object></annotation>"
)
BOX = "0 .5 .5 .2 .2\n"


@pytest.fixture(scope="module")
def plugins() -> Plugins:
    return Plugins.discover()


def picture(path: Path, mask: bool = False) -> None:
    rng = np.random.default_rng(sum(map(ord, str(path))))
    write_image(path, rng.integers(0, 2 if mask else 256, (48, 64) if mask else (48, 64, 3)).astype(np.uint8))


def write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def coco(path: Path, names: Sequence[str], group: bool = False) -> None:
    """A COCO file; `group` adds Roboflow's category for all others together."""
    categories = [{"id": 1, "name": "ant", "supercategory": "insects"}]
    if group:
        categories.insert(0, {"id": 0, "name": "insects", "supercategory": "none"})
    boxes = [{"id": k, "image_id": k, "category_id": 1, "bbox": [5, 5, 20, 20]} for k in range(len(names))]
    images = [{"id": k, "file_name": name} for k, name in enumerate(names)]
    write(path, {"info": {}, "images": images, "annotations": boxes, "categories": categories})


def each(places: str, labels: str = "", text: str = "", mask: bool = False, splits: object = SPLITS) -> Make:
    """Images `places` and a label file of each, "{s}" for the split and "{n}" for the stem."""

    def make(root: Path) -> None:
        for split, count in splits:  # type: ignore[attr-defined]
            for stem in (f"{split}{number}" for number in range(count)):
                picture(root / places.format(s=split, n=stem))
                if mask:
                    picture(root / labels.format(s=split, n=stem), mask=True)
                elif labels:
                    write(root / labels.format(s=split, n=stem), text)

    return make


def with_files(make: Make, **files: object) -> Make:
    """A set with further files, "__" for "/" in their names."""

    def both(root: Path) -> None:
        make(root)
        for name, content in files.items():
            write(root / name.replace("__", "/").replace("_dot_", "."), content)

    return both


def classes(*splits: str) -> Make:
    def make(root: Path) -> None:
        for split in splits:
            for name in ("ant", "bee"):
                for number in range(3):
                    picture(root / split / name / f"{split}{number}.jpg")

    return make


def coco_sets(images: str, file: str, splits: object = SPLITS, group: bool = False, prefix: str = "") -> Make:
    def make(root: Path) -> None:
        for split, count in splits:  # type: ignore[attr-defined]
            names = [f"{split}{number}.jpg" for number in range(count)]
            for name in names:
                picture(root / images.format(s=split) / name)
            coco(root / file.format(s=split), [prefix + name for name in names], group)

    return make


def one_hot(root: Path) -> None:
    each("{s}/{n}.jpg")(root)
    for split, count in SPLITS:
        rows = "".join(f"{split}{number}.jpg, {number % 2}, {1 - number % 2}\n" for number in range(count))
        write(root / split / "_classes.csv", "filename, ant, bee\n" + rows)


def semantic(root: Path) -> None:
    each("{s}/{n}.jpg", "{s}/{n}_mask.png", mask=True)(root)
    for split, _ in SPLITS:
        write(root / split / "_classes.csv", "Pixel Value, Class\n0, background\n1, road\n")


def darknet(root: Path) -> None:
    each("{s}/{n}.jpg", "{s}/{n}.txt", BOX)(root)
    for split, _ in SPLITS:
        write(root / split / "_darknet.labels", "ant\n")


def cvat_yolo(root: Path) -> None:
    splits = (("Train", 4), ("Validation", 2))
    each("obj_{s}_data/{n}.jpg", "obj_{s}_data/{n}.txt", BOX, splits=splits)(root)
    for split, count in splits:
        write(root / f"{split}.txt", "".join(f"data/obj_{split}_data/{split}{k}.jpg\n" for k in range(count)))
    write(root / "obj.names", "ant\n")
    write(root / "obj.data", "classes = 1\ntrain = data/train.txt\nnames = data/obj.names\n")


def voc_lists(*splits: tuple[str, int]) -> Make:
    def make(root: Path) -> None:
        each("JPEGImages/{n}.jpg", "Annotations/{n}.xml", XML, splits=splits)(root)
        for split, count in splits:
            write(root / f"ImageSets/Main/{split}.txt", "".join(f"{split}{k}\n" for k in range(count)))

    return make


def balloon(root: Path) -> None:
    """VIA's file among the images of every split."""
    for split, count in (("train", 4), ("val", 2)):
        entries = {}
        for name in (f"{split}{number}.jpg" for number in range(count)):
            picture(root / split / name)
            shape = {"name": "polygon", "all_points_x": [1, 30, 30], "all_points_y": [1, 1, 30]}
            region = {"shape_attributes": shape, "region_attributes": {"name": "balloon"}}
            entries[f"{name}1"] = {"filename": name, "size": 1, "regions": {"0": region}, "file_attributes": {}}
        write(root / split / "via_region_data.json", entries)


TWO = (("train", 4), ("val", 2))
LONG = (("training", 4), ("validation", 2))
YOLO = each("{s}/images/{n}.jpg", "{s}/labels/{n}.txt", BOX)
PARTS = each("images/{s}/{n}.jpg", "labels/{s}/{n}.txt", BOX, splits=TWO)
CASES: dict[str, tuple[str, Make]] = {
    "Roboflow: COCO": ("coco", coco_sets("{s}", "{s}/_annotations.coco.json", group=True)),
    "Roboflow: YOLO": (
        "yolo", with_files(YOLO, data_dot_yaml="train: ../train/images\nval: ../valid/images\nnames: [ant]\n"),
    ),
    "Roboflow: YOLO without val": ("yolo", with_files(YOLO, data_dot_yaml="train: train/images\nnames: [ant]\n")),
    "Roboflow: VOC": ("voc", each("{s}/{n}.jpg", "{s}/{n}.xml", XML)),
    "Roboflow: Darknet": ("yolo", darknet),
    "Roboflow: classes in a table": ("one_hot", one_hot),
    "Roboflow: semantic masks": ("masks_beside", semantic),
    "COCO 2017": ("coco", coco_sets("{s}2017", "annotations/instances_{s}2017.json", TWO)),
    "COCO by long names": ("coco", coco_sets("images/{s}", "annotations/instances_{s}.json", LONG)),
    "CVAT: COCO of two subsets": (
        "coco", coco_sets("images/{s}", "annotations/instances_{s}.json", (("Train", 4), ("Validation", 2))),
    ),
    "CVAT: COCO with folders in its names": (
        "coco", coco_sets("images", "annotations/instances_{s}.json", TWO),
    ),
    "CVAT: YOLO of two subsets": ("yolo", cvat_yolo),
    "FiftyOne: COCO": ("coco", coco_sets("{s}/data", "{s}/labels.json", TWO)),
    "YOLO by folders": ("yolo", with_files(PARTS, classes_dot_txt="ant\n")),
    "YOLO by a YAML file of another name": (
        "yolo", with_files(PARTS, ants_dot_yaml="train: images/train\nval: images/val\nnames:\n  0: ant\n"),
    ),
    "VOC in two folders a split": ("voc", each("{s}/images/{n}.jpg", "{s}/annotations/{n}.xml", XML)),
    "VOC by lists in capitals": ("voc", voc_lists(("Train", 4), ("Validation", 2))),
    "VOC with trainval and test": ("voc", voc_lists(("trainval", 4), ("test", 2))),
    "masks in split folders": (
        "folders", with_files(each("{s}/images/{n}.jpg", "{s}/masks/{n}.png", mask=True), classes_dot_txt="a\nb\n"),
    ),
    "masks in folders of splits": (
        "folders",
        with_files(
            each("img_dir/{s}/{n}.jpg", "ann_dir/{s}/{n}.png", mask=True, splits=TWO), classes_dot_txt="a\nb\n"
        ),
    ),
    "masks as ADE20K": (
        "folders",
        with_files(
            each("images/{s}/{n}.jpg", "annotations/{s}/{n}.png", mask=True, splits=LONG), classes_dot_txt="a\nb\n"
        ),
    ),
    "masks with lists of other names": (
        "folders",
        with_files(
            each("images/{n}.jpg", "masks/{n}.png", mask=True, splits=TWO), classes_dot_txt="a\nb\n",
            train_dot_txt="train0\ntrain1\ntrain2\ntrain3\n", validation_dot_txt="val0\nval1\n",
        ),
    ),
    "VIA as the balloons": ("polygons", balloon),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_folders_say_what_trains_and_what_validates(case: str, tmp_path: Path, plugins: Plugins) -> None:
    layout, make = CASES[case]
    make(tmp_path / "set")
    (tmp_path / "set/README.roboflow.txt").write_text("x")
    start = start_task("", tmp_path / "set", None, plugins)
    assert (start.detected.layout, start.detected.holdout, start.counts) == (layout, 0.0, {"train": 4, "val": 2})
    assert "insects" not in start.classes


@pytest.mark.parametrize(("names", "val"), [(("train", "valid", "test"), "valid"), (("Train", "Dev"), "Dev")])
def test_class_folders(names: tuple[str, ...], val: str, tmp_path: Path, plugins: Plugins) -> None:
    classes(*names)(tmp_path / "set")
    start = start_task("", tmp_path / "set", None, plugins)
    assert (start.detected.holdout, start.counts) == (0.0, {"train": 6, "val": 6})


def test_a_labelled_test_split_validates_and_it_is_said(
    tmp_path: Path, plugins: Plugins, caplog: pytest.LogCaptureFixture
) -> None:
    classes("train", "test")(tmp_path / "set")
    with caplog.at_level(logging.WARNING):
        assert start_task("", tmp_path / "set", None, plugins).counts == {"train": 6, "val": 6}
    assert "'test' validates" in caplog.text


def test_an_unlabelled_test_split_is_none(tmp_path: Path, plugins: Plugins) -> None:
    """As competitions publish it: images only, a folder that is no class, a table without the labels."""
    classes("train")(tmp_path / "flat")
    picture(tmp_path / "flat/test/x.jpg")
    classes("train")(tmp_path / "one")
    picture(tmp_path / "one/test/unknown/x.jpg")
    each("{s}/{n}.jpg", splits=(("train", 6), ("test", 2)))(tmp_path / "table")
    rows = "".join(f"train/train{k}.jpg,{'ab'[k % 2]}\n" for k in range(6))
    (tmp_path / "table/train.csv").write_text("image,label\n" + rows)
    (tmp_path / "table/test.csv").write_text("image\ntest/test0.jpg\n")
    coco_sets("{s}", "annotations/instances_{s}.json", (("train", 6), ("test", 2)))(tmp_path / "coco")
    file = tmp_path / "coco/annotations/instances_test.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "annotations": []}))
    for name in ("flat", "one", "table", "coco"):
        start = start_task("", tmp_path / name, None, plugins)
        assert (start.detected.holdout, sum(start.counts.values())) == (0.2, 6), name


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"a.json": '{"version": "5", "flags": {}, "shapes": []}'}, "2 .jpg; 1 .json; it looks like labelme's"),
        ({"annotations.xml": "<annotations><version>1.1"}, "it looks like CVAT's own XML"),
        ({"labelmap.txt": "# label:color_rgb:parts"}, "it looks like CVAT's masks of colours"),
        ({"x.tfrecord": ""}, "it looks like TFRecord"),
        ({"x.zip": ""}, "it looks like an archive: unpack it"),
        ({}, "it holds 2 .jpg"),
    ],
)
def test_what_is_not_read_is_named(files: dict[str, str], said: str, tmp_path: Path, plugins: Plugins) -> None:
    each("{n}.jpg", splits=(("a", 2),))(tmp_path / "set")
    for name, text in files.items():
        write(tmp_path / "set" / name, text)
    with pytest.raises(DataError) as caught:
        start_task("", tmp_path / "set", None, plugins)
    assert said in str(caught.value)


def test_data_one_folder_down_is_hinted_at(tmp_path: Path, plugins: Plugins) -> None:
    one_hot(tmp_path / "set/My Export.v1")
    with pytest.raises(DataError, match=r"may be one folder down: .*My Export\.v1"):
        start_task("", tmp_path / "set", None, plugins)
