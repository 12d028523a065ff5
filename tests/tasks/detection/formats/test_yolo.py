"""YOLO text labels: what data.yaml may say, and broken labels by file and line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from umbel import DataError, write_image
from umbel.tasks.detection.formats.yolo_yaml import read_data_yaml

DATA = "train: images/train\nval: images/val\nnames: [stop, yield]\n"


@pytest.fixture
def yolo(tmp_path):
    """One image of 40 x 30 a split."""

    def make(labels: str | None = "1 0.5 0.5 0.25 0.2\n", data: str = DATA) -> Path:
        (tmp_path / "data.yaml").write_text(data)
        for split in ("train", "val"):
            write_image(tmp_path / "images" / split / "a.png", np.full((30, 40, 3), 90, np.uint8))
            (tmp_path / "labels" / split).mkdir(parents=True, exist_ok=True)
            if labels is not None:
                (tmp_path / "labels" / split / "a.txt").write_text(labels)
        return tmp_path

    return make


def test_fractions_become_pixels(yolo, make_task):
    task = make_task(yolo())
    sample = task.dataset("train")[0]
    assert task.categories.names == ("stop", "yield")
    assert sample.target.boxes_N4 == pytest.approx(np.array([[15, 12, 25, 18]]))
    assert (sample.target.classes_N.tolist(), sample.id) == ([1], "images/train/a.png")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(x=st.integers(0, 30), y=st.integers(0, 20), width=st.integers(2, 10), height=st.integers(2, 10))
def test_any_box_survives_the_way_through_fractions(yolo, make_task, x, y, width, height):
    line = f"0 {(x + width / 2) / 40} {(y + height / 2) / 30} {width / 40} {height / 30}"
    [box] = make_task(yolo(line)).dataset("train")[0].target.boxes_N4
    assert box == pytest.approx([x, y, x + width, y + height], abs=1e-4)


@pytest.mark.parametrize(
    "data",
    [
        "train: images/train\nval: images/val\nnames: {0: stop, 1: yield}\nnc: 2\n",
        "path: /elsewhere/signs\ntrain: images/train\nval: images/val\nnames: {1: yield, 0: stop}\n",
        "path: ../datasets/signs\ntrain: ../images/train\nval: [images/val]\nnames: [stop, yield]\n",
        "path: images\ntrain: train\nval: val\nnames: [stop, yield]\n",
        "path: .\ntrain: images/train\nval: images/val\nnames: [stop, yield]\n",
        "path: ./\ntrain: ./images/train\nval: ./images/val\nnames: [stop, yield]\n",
        "train: t.txt\nval: v.txt\nnames: [stop, yield]\n",
    ],
)
def test_ways_to_write_data_yaml(yolo, make_task, data):
    root = yolo(data=data)
    (root / "t.txt").write_text("./images/train/a.png\n")
    (root / "v.txt").write_text("images/val/a.png\n")
    task = make_task(root)
    for split in ("train", "val"):
        data_set = task.dataset(split)
        assert [(s.id, s.target.classes_N.tolist()) for s in data_set] == [(f"images/{split}/a.png", [1])]
    assert task.categories.names == ("stop", "yield")


def test_folders_per_split_with_images_and_labels_within(tmp_path, make_task):
    """The layout of Roboflow's exports, whose paths begin with ../"""
    write_image(tmp_path / "train" / "images" / "a.jpg", np.zeros((30, 40, 3), np.uint8))
    (tmp_path / "train" / "labels").mkdir()
    (tmp_path / "train" / "labels" / "a.txt").write_text("0 .5 .5 1 1")
    (tmp_path / "data.yaml").write_text("train: ../train/images\nnames: ['7']\nnc: 1\n")
    task = make_task(tmp_path)
    assert task.dataset("train")[0].target.boxes_N4.tolist() == [[0, 0, 40, 30]]
    assert task.categories.names == ("7",)
    with pytest.raises(DataError, match=r"data\.yaml: has no 'val'"):
        task.dataset("val")


def test_labels_beside_the_images(tmp_path, make_task):
    write_image(tmp_path / "set" / "a.jpg", np.zeros((30, 40, 3), np.uint8))
    (tmp_path / "set" / "a.txt").write_text("0 .5 .5 1 1")
    (tmp_path / "my.yaml").write_text("names: [sign]\n")
    task = make_task(tmp_path, train_annotations="my.yaml", train_images="set")
    assert len(task.dataset("train")[0].target.boxes_N4) == 1


def test_image_without_label_file_has_no_boxes_but_not_all_may_lack_them(yolo, make_task):
    root = yolo()
    write_image(root / "images" / "train" / "b.png", np.zeros((9, 9, 3), np.uint8))
    data = make_task(root).dataset("train")
    assert [len(sample.target.boxes_N4) for sample in data] == [1, 0]
    (root / "labels" / "train" / "a.txt").unlink()
    with pytest.raises(
        DataError, match=r"no image of 'train' has a label file \(the first was sought at .*labels/train/a"
    ):
        make_task(root).dataset("train")


LABELS = {
    r"a\.txt:2: has 4 columns": "0 .5 .5 .1 .1\n0 .5 .5 .1\n",
    r"a\.txt:1: has 9 columns": "0 .1 .1 .2 .1 .2 .2 .1 .2",
    r"a\.txt:1: has class -1; the data set has 0\.\.1": "-1 .5 .5 .1 .1",
    r"a\.txt:1: has class 2; the data set has 0\.\.1": "2 .5 .5 .1 .1",
    r"a\.txt:1: has class '1\.0'": "1.0 .5 .5 .1 .1",
    r"a\.txt:1: has class '9+'": "9" * 5000 + " .5 .5 .1 .1",
    r"a\.txt:1: has '0 .5 left .1 .1'; expected numbers": "0 .5 left .1 .1",
    r"a\.txt: line 1 of image 'images/train/a\.png' is not finite": "0 nan .5 .1 .1",
    r"line 1 .* is inverted": "0 .5 .5 -.1 .1",
    r"line 1 .* has a side of zero": "0 .5 .5 .1 0",
    r"line 2 .* lies outside the image: corners": "0 .5 .5 .1 .1\n0 120 80 20 30",
}


@pytest.mark.parametrize("message", LABELS)
def test_broken_labels_are_named(yolo, make_task, message):
    with pytest.raises(DataError, match=message) as caught:
        make_task(yolo(LABELS[message])).dataset("train")
    assert len(str(caught.value)) < 600


def test_bad_boxes_can_be_dropped(yolo, make_task):
    data = make_task(yolo("0 nan .5 .1 .1\n0 .5 .5 .2 .2\n"), bad_boxes="drop").dataset("train")
    assert data.dropped == 1
    assert data[0].target.boxes_N4 == pytest.approx(np.array([[16, 12, 24, 18]]))


def aliases() -> str:
    rows = "".join(f"x{k}: &x{k} [{', '.join([f'*x{k - 1}'] * 9)}]\n" for k in range(1, 9))
    return "x0: &x0 [a, a, a]\n" + rows + "names: *x8\n"


YAMLS = {
    "no names": "train: images/train\n",
    "no names.*a list": "names: []\n",
    r"names has the keys \[1, 2\]; expected 0": "names: {1: a, 2: b}\n",
    "names holds 'False', which is not text; quote it": "names: [no, yes]\n",
    "names holds .*'a': 1": "names: [{a: 1}]\n",
    "class 'a' is given twice": "names: [a, a]\n",
    "nc is 3, but there are 2 names": DATA + "nc: 3\n",
    "train is 'nowhere', but .*nowhere does not exist": "names: [a]\ntrain: nowhere\n",
    "entry 'a/../../b' does not name": "names: [a]\ntrain: a/../../b\n",
    "entry '/etc' does not name": "names: [a]\ntrain: /etc\n",
    "'' does not name": "names: [a]\ntrain: 7\n",
    "holds no mapping": "- a\n",
    "is not valid YAML": "names: [a\n",
    "is not valid YAML: .*constructor": "names: !!python/object/apply:os.getcwd []\n",
    "is not valid YAML: .*depth": "names: " + "[" * 5000 + "]" * 5000,
    "is not valid YAML: .*expansion": aliases(),
    "is not valid YAML: .*duplicate": "names: [a]\nnames: [b]\n",
    "larger than 1,048,576 bytes": "names: [" + "a, " * 400_000 + "]",
}


@pytest.mark.parametrize("message", YAMLS)
def test_broken_data_yaml_is_named(yolo, make_task, message):
    with pytest.raises(DataError, match=message) as caught:
        make_task(yolo(data=YAMLS[message])).dataset("train")
    assert "data.yaml" in str(caught.value)
    assert len(str(caught.value)) < 600


def test_interpolations_are_text(yolo):
    root = yolo(data="names: ['${oc.env:HOME}']\n")
    assert read_data_yaml(root / "data.yaml").names == ("${oc.env:HOME}",)


def test_image_lists_are_checked(yolo, make_task):
    root = yolo(data="train: t.txt\nnames: [stop, yield]\n")
    for text, message in {
        "../a.png": "does not name a file inside",
        "images/train/a.png\n./images/train/a.png": "image 'images/train/a.png' is given twice",
        "": "holds no images",
        "images/train/a.png\nimages/train/gone.png": r"image 'images/train/gone\.png' does not exist",
    }.items():
        (root / "t.txt").write_text(text)
        with pytest.raises(DataError, match=message):
            make_task(root).dataset("train")


def test_huge_labels_are_refused_unread(yolo, make_task):
    root = yolo()
    with (root / "labels" / "train" / "a.txt").open("wb") as file:
        file.truncate(50 * 2**20)
    with pytest.raises(DataError, match=r"a\.txt: is larger than"):
        make_task(root).dataset("train")


def test_images_in_subfolders_have_their_labels_in_the_same_ones(yolo, make_task):
    root = yolo()
    write_image(root / "images/train/deep/b.png", np.full((30, 40, 3), 90, np.uint8))
    (root / "labels/train/deep").mkdir()
    (root / "labels/train/deep/b.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    data = make_task(root).dataset("train")
    assert [(record.id, len(record.boxes_N4)) for record in data.records] == [
        ("images/train/a.png", 1), ("images/train/deep/b.png", 1),
    ]  # fmt: skip


def test_a_label_file_in_another_unicode_form_is_not_taken_for_none(yolo, make_task):
    root = yolo()
    write_image(root / "images/train/caf\u00e9.png", np.full((30, 40, 3), 90, np.uint8))
    (root / "labels/train/cafe\u0301.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    with pytest.raises(DataError, match=r"labels/train: holds .*cafe\\u0301\.txt.* only looks like .*caf\\xe9\.txt"):
        make_task(root).dataset("train")
