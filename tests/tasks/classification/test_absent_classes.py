"""Classes that one split has and the other has not, and images in subfolders of a class."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch

from umbel import DataError, write_image
from umbel.tasks.classification.prediction import ClassScores


def build(make_classification, **options):
    return make_classification(**{"class_names": [], **options})


@pytest.mark.parametrize("folder_stays", [False, True])
def test_a_class_without_validation_images_is_trained(make_classification, cls_root, folder_stays):
    shutil.rmtree(cls_root / "val/car")
    if folder_stays:
        (cls_root / "val/car").mkdir()
    for options in ({}, {"class_names": ["truck", "car"]}):
        task = build(make_classification, **options)
        assert sorted(task.class_names) == ["car", "truck"]
        assert (len(task.dataset("train")), len(task.dataset("val"))) == (4, 1)
    task = build(make_classification, class_map={"car": None})
    assert (task.class_names, len(task.dataset("train")), len(task.dataset("val"))) == (["truck"], 2, 1)


def test_an_absent_class_has_no_say_in_top1(make_classification, cls_root):
    shutil.rmtree(cls_root / "val/car")
    task = build(make_classification)
    metric, val = task.metric(), task.dataset("val")
    for sample in (val[index] for index in range(len(val))):
        metric.update([ClassScores(torch.eye(2)[sample.target])], [sample.target])
    assert metric.compute()["top1"] == 1


def test_a_class_that_only_validates_is_named_and_can_be_left_out(make_classification, cls_root):
    write_image(cls_root / "val/tram/0.jpg", np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(DataError, match=r"val: has images of tram, of which there is no .*class_map: \{tram: null\}"):
        build(make_classification).dataset("val")
    task = build(make_classification, class_map={"tram": None})
    assert (task.class_names, len(task.dataset("val"))) == (["car", "truck"], 2)
    named = build(make_classification, class_names=["car", "tram", "truck"])
    assert sorted(record.label for record in named.dataset("val").records) == [0, 1, 2]
    (cls_root / "val/tram/0.jpg").unlink()
    assert build(make_classification).class_names == ["car", "truck"]


def test_an_empty_training_folder_can_be_left_out(make_classification, cls_root):
    (cls_root / "train/tram").mkdir()
    with pytest.raises(DataError, match=r"train/tram: no image .*class_map: \{tram: null\}"):
        build(make_classification).dataset("train")
    assert build(make_classification, class_map={"tram": None}).class_names == ["car", "truck"]


def test_images_in_subfolders_and_of_other_suffixes_are_of_the_class(make_classification, cls_root):
    from PIL import Image

    image = Image.fromarray(np.zeros((8, 8, 3), np.uint8))
    (cls_root / "train/car/session/two").mkdir(parents=True)
    image.save(cls_root / "train/car/session/two/b.jpg")
    image.save(cls_root / "train/car/w.jfif", format="JPEG")
    image.save(cls_root / "train/car/old.gif")
    records = build(make_classification).dataset("train").records
    names = [record.id for record in records if record.label == 0]
    assert names == ["car/0.jpg", "car/1.jpg", "car/old.gif", "car/session/two/b.jpg", "car/w.jfif"]


def test_a_table_of_ones_gives_an_image_one_class(make_classification, tmp_path):
    write_image(tmp_path / "train/a.jpg", np.zeros((8, 8, 3), np.uint8))
    table = tmp_path / "train/_classes.csv"
    table.write_text("filename, ant, bee\na.jpg, 0, 1\n")
    [record] = build(make_classification).dataset("train").records
    assert (record.id, record.label) == ("a.jpg", 1)
    for cells, said in (("1, 1", "is of ant and bee"), ("0, 0", "is of no class"), ("0, 2", "has not 2 values")):
        table.write_text(f"filename, ant, bee\na.jpg, {cells}\n")
        with pytest.raises(DataError, match=rf"_classes\.csv: row 2.*{said}"):
            build(make_classification).dataset("train")
