"""The folders layout and what is said about broken data sets."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch

from umbel import ConfigError, DataError, write_image


def build(make_classification, **options):
    return make_classification(**{"class_names": [], **options})


def test_classes_are_the_sorted_folders(make_classification, cls_root):
    task = build(make_classification)
    assert task.class_names == ["car", "truck"]
    train = task.dataset("train")
    assert [(train[i].id, train[i].target) for i in range(len(train))] == [
        ("car/0.jpg", 0),
        ("car/1.jpg", 0),
        ("truck/0.jpg", 1),
        ("truck/1.jpg", 1),
    ]
    assert train[0].size == (20, 30)
    assert len(task.dataset("val")) == 2


def test_class_names_set_the_order(make_classification, cls_root):
    train = build(make_classification, class_names=["truck", "car"]).dataset("train")
    assert [(record.id, record.label) for record in train.records] == [
        ("car/0.jpg", 1),
        ("car/1.jpg", 1),
        ("truck/0.jpg", 0),
        ("truck/1.jpg", 0),
    ]


def test_vehicle_types_are_read(make_classification, shared):
    task = build(make_classification, root=str(shared / "data/cls"))
    assert (len(task.dataset("train")), len(task.dataset("val"))) == (1440, 360)
    assert len(task.class_names) == 6
    assert task.dataset("val")[359].target == 5


def test_splits_must_agree(make_classification, cls_root):
    shutil.move(cls_root / "val/car", cls_root / "val/bus")
    with pytest.raises(DataError, match=r"val: has images of bus, of which there is no training image .*car, truck"):
        build(make_classification).dataset("val")


def test_unknown_class_folder(make_classification, cls_root):
    with pytest.raises(ConfigError, match=r"tasks\.cars\.options\.class_names: lacks the class 'truck'"):
        build(make_classification, class_names=["car"]).dataset("train")


def test_empty_class_folder(make_classification, cls_root):
    for path in (cls_root / "train/car").iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"train/car: no image"):
        build(make_classification).dataset("train")


def test_no_class_folders(make_classification, tmp_path):
    (tmp_path / "train").mkdir()
    with pytest.raises(DataError, match="holds no class folders"):
        build(make_classification, format="folders").dataset("train")


def test_missing_split(make_classification, cls_root):
    shutil.rmtree(cls_root / "val")
    with pytest.raises(DataError, match="val: no such folder"):
        build(make_classification).dataset("val")


def test_missing_root(make_classification, tmp_path):
    with pytest.raises(DataError, match="nowhere: no such folder"):
        build(make_classification, root=str(tmp_path / "nowhere")).dataset("train")


def test_unknown_layout_says_what_was_looked_for(make_classification, tmp_path):
    with pytest.raises(DataError, match=r"no known way.*folders: a folder of training"):
        build(make_classification).dataset("train")


def test_unknown_format(make_classification, cls_root):
    with pytest.raises(ConfigError, match=r"'imagenet'.*folders"):
        build(make_classification, format="imagenet").dataset("train")


def test_repeated_class_names(make_classification, cls_root):
    with pytest.raises(ValueError, match="class_names repeat: car"):
        build(make_classification, class_names=["car", "truck", "car"]).dataset("train")


def test_broken_image_is_a_data_error(make_classification, cls_root):
    (cls_root / "train/car/0.jpg").write_bytes(b"not an image")
    with pytest.raises(DataError, match=r"car/0\.jpg"):
        build(make_classification).dataset("train")[0]


def test_hidden_folders_and_other_files_are_passed_over(make_classification, cls_root):
    write_image(cls_root / "train/.cache/x.png", np.zeros((4, 4, 3), np.uint8))
    (cls_root / "train/car/notes.txt").write_text("")
    (cls_root / "train/readme.md").write_text("")
    assert len(build(make_classification).dataset("train")) == 4


def test_batches_hold_int64_labels(make_classification, cls_root):
    task = build(make_classification)
    train = task.dataset("train")
    batch = task.collate([task.augment(train[i], np.random.default_rng(i)) for i in range(4)])
    assert batch.images.shape == (4, 3, 64, 64)
    assert torch.equal(batch.targets, torch.tensor([0, 0, 1, 1]))


def test_classes_merge_and_drop(make_classification, cls_root):
    (cls_root / "train/bus").mkdir()
    write_image(cls_root / "train/bus/0.jpg", np.zeros((4, 4, 3), np.uint8))
    task = build(make_classification, class_map={"car": "small", "bus": "large", "truck": "large"})
    assert task.class_names == ["large", "small"]  # in order of appearance: bus comes first
    assert [(r.id, r.label) for r in task.dataset("train").records] == [
        ("bus/0.jpg", 0), ("car/0.jpg", 1), ("car/1.jpg", 1), ("truck/0.jpg", 0), ("truck/1.jpg", 0),
    ]  # fmt: skip
    dropped = build(make_classification, class_map={"car": None}).dataset("train")
    assert [(r.id, r.label) for r in dropped.records] == [("bus/0.jpg", 0), ("truck/0.jpg", 1), ("truck/1.jpg", 1)]
    with pytest.raises(ConfigError, match=r"class_map: 'trucks' is no class.*did you mean 'truck'"):
        _ = build(make_classification, class_map={"trucks": None}).class_names


def test_class_names_are_the_result_of_the_map(make_classification, cls_root):
    task = build(make_classification, class_map={"car": "auto"}, class_names=["tram", "truck", "auto"])
    assert [record.label for record in task.dataset("train").records] == [2, 2, 1, 1]
