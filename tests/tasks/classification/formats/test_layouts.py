"""The layouts of public data sets: real annotation files, generated trees, and broken ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st

from umbel import ConfigError, DataError, write_image
from umbel.tasks.classification.formats.image_list import ImageList
from umbel.tasks.classification.formats.stanford_cars import read_annotations, read_class_names
from umbel.tasks.classification.options import ClassificationOptions

CARS = ["Alpha C/V 1999", "Beta Coupe 2012", "Gamma Sedan 2001"]


def build(make_classification, **options: Any):
    return make_classification(**{"class_names": [], **options})


def picture(path: Path) -> None:
    write_image(path, np.zeros((4, 6, 3), np.uint8))


def labels(task, split: str = "train") -> dict[str, str]:
    return {record.id: task.class_names[record.label] for record in task.dataset(split).records}


def annotate(path: Path, rows: list[dict[str, Any]], fields: list[str]) -> None:
    table = np.zeros((1, len(rows)), [(name, object) for name in fields])
    for index, row in enumerate(rows):
        table[0, index] = tuple(row[name] for name in fields)
    path.parent.mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(path, {"annotations": table})


def rows(*classes: int) -> list[dict[str, Any]]:
    return [{"fname": f"{i:05}.jpg", "class": number, "bbox_x1": 7} for i, number in enumerate(classes, start=1)]


@pytest.fixture
def cars_root(tmp_path: Path) -> Path:
    names = np.empty((1, len(CARS)), object)
    names[0] = CARS
    (tmp_path / "devkit").mkdir()
    scipy.io.savemat(tmp_path / "devkit/cars_meta.mat", {"class_names": names})
    annotate(tmp_path / "devkit/cars_train_annos.mat", rows(3, 1, 1), ["bbox_x1", "class", "fname"])
    annotate(tmp_path / "devkit/cars_test_annos.mat", rows(1, 1), ["bbox_x1", "fname"])
    annotate(tmp_path / "cars_test_annos_withlabels.mat", rows(2, 3), ["fname", "bbox_x1", "class"])
    for split, count in (("train", 3), ("test", 2)):
        for number in range(1, count + 1):
            picture(tmp_path / f"cars_{split}/{number:05}.jpg")
    return tmp_path


def test_the_devkit_of_stanford_cars(shared):
    devkit = shared / "formats/stanford_cars/devkit"
    names = read_class_names(devkit / "cars_meta.mat")
    assert len(names) == len(set(names)) == 196
    assert (names[0], names[195]) == ("AM General Hummer SUV 2000", "smart fortwo Convertible 2012")
    train = read_annotations(devkit / "cars_train_annos.mat", 196)
    assert len(train) == 8144
    assert train[0] == ("00001.jpg", 13)  # class 14 in the file
    assert {label for _, label in train} == set(range(196))
    with pytest.raises(DataError, match=r"cars_test_annos\.mat: has images but no classes .*withlabels"):
        read_annotations(devkit / "cars_test_annos.mat", 196)


def test_the_challenge_counts_the_same_classes_from_0(make_classification, shared):
    """Its lists and Stanford's files agree, which settles the origin of the ids."""
    task = build(make_classification, root=str(shared / "formats/open_transmind/datasets/track1_train_data"))
    devkit = dict(read_annotations(shared / "formats/stanford_cars/devkit/cars_train_annos.mat", 196))
    train, val = task.dataset("train"), task.dataset("val")
    assert (len(train), len(val)) == (6, 6)
    assert [(r.id, r.label) for r in train.records][:2] == [("00001.jpg", 13), ("00010.jpg", 57)]
    assert all(devkit[record.id] == record.label for record in train.records)
    assert len(task.class_names) == 175  # the largest id of both lists is 174
    assert train[0].image.ndim == 3
    inner = shared / "formats/open_transmind/datasets/track1_train_data/cls"
    named = build(make_classification, root=str(inner), class_names=[f"car {i}" for i in range(196)])
    assert labels(named)["00001.jpg"] == "car 13"


def test_stanford_cars_tree(make_classification, cars_root):
    task = build(make_classification)
    assert task.class_names == CARS
    assert labels(task) == {"00001.jpg": CARS[2], "00002.jpg": CARS[0], "00003.jpg": CARS[0]}
    assert labels(task, "val") == {"00001.jpg": CARS[1], "00002.jpg": CARS[2]}
    assert task.dataset("val")[0].target == 1


def test_stanford_cars_test_labels_may_lie_in_the_devkit_or_be_missing(make_classification, cars_root):
    path = cars_root / "cars_test_annos_withlabels.mat"
    path.rename(cars_root / "devkit" / path.name)
    assert len(build(make_classification).dataset("val")) == 2
    (cars_root / "devkit" / path.name).unlink()
    with pytest.raises(
        DataError, match=r"devkit/cars_test_annos\.mat: has images but no classes \(get cars_test_annos_w"
    ):
        build(make_classification).dataset("val")


@pytest.mark.parametrize("number", [0, 4, -1])
def test_stanford_cars_classes_lie_in_1_to_k(make_classification, cars_root, number):
    annotate(cars_root / "devkit/cars_train_annos.mat", rows(1, number), ["class", "fname"])
    with pytest.raises(
        DataError, match=rf"train_annos\.mat: entry 2 has fname '00002\.jpg' and class {number}; .*1\.\.3"
    ):
        build(make_classification).dataset("train")


def test_broken_stanford_cars(make_classification, cars_root):
    train = cars_root / "devkit/cars_train_annos.mat"
    (cars_root / "cars_train/00002.jpg").unlink()
    with pytest.raises(DataError, match=r"cars_train/00002\.jpg: no such file, which cars_train_annos\.mat lists"):
        build(make_classification).dataset("train")
    annotate(train, [{"fname": "../a.jpg", "class": 1}], ["fname", "class"])
    with pytest.raises(DataError, match="does not name a file inside"):
        build(make_classification).dataset("train")
    annotate(train, [{"name": "a.jpg", "class": 1}], ["name", "class"])
    with pytest.raises(DataError, match="no field 'fname' but name, class"):
        build(make_classification).dataset("train")
    annotate(train, [{"fname": "a.jpg", "class": "two"}], ["fname", "class"])
    with pytest.raises(DataError, match=r"entry 1 has fname 'a\.jpg' and class None"):
        build(make_classification).dataset("train")
    train.write_bytes(b"MATLAB 5.0 MAT-file" + bytes(300))
    with pytest.raises(DataError, match=r"train_annos\.mat: "):
        build(make_classification).dataset("train")
    scipy.io.savemat(train, {"other": 1})
    with pytest.raises(DataError, match="has no variable 'annotations'"):
        build(make_classification).dataset("train")
    train.unlink()
    with pytest.raises(DataError, match=r"train_annos\.mat: no such file"):
        build(make_classification).dataset("train")


@pytest.fixture
def list_root(tmp_path: Path) -> Path:
    (tmp_path / "train.txt").write_text("b.jpg 0\nsub/a file.jpg 2\n")
    (tmp_path / "val.txt").write_text("b.jpg\t3\n")
    for name in ("train/b.jpg", "train/sub/a file.jpg", "val/b.jpg"):
        picture(tmp_path / name)
    return tmp_path


def test_lists_of_names_and_ids(make_classification, list_root):
    task = build(make_classification, format="list")  # sub/ could be a class folder
    assert task.class_names == ["0", "1", "2", "3"]
    assert labels(task) == {"b.jpg": "0", "sub/a file.jpg": "2"}
    assert labels(task, "val") == {"b.jpg": "3"}
    (list_root / "classes.txt").write_text("w\nx\ny\nz\n")
    task = build(make_classification, format="list", class_map={"y": "w", "x": None})
    assert task.class_names == ["w", "z"]
    assert labels(task) == {"b.jpg": "w", "sub/a file.jpg": "w"}
    assert make_classification(format="list", class_names=list("abcd")).dataset("val").records[0].label == 3


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("b.jpg", "is not a file name and a class id"),
        ("b.jpg -1", "is not a file name and a class id"),
        ("b.jpg 1.0", "is not a file name and a class id"),
        ("b.jpg car", "is not a file name and a class id"),
        ("b.jpg ²", "is not a file name and a class id"),
        ("3", "is not a file name and a class id"),
        ("b.jpg 99999999", "class id above"),
        ("b.jpg 9999999999999", "is not a file name and a class id"),
        ("b.jpg 6", r"train\.txt: b\.jpg has class 6; there are 6, 0\.\.5"),
        ("/etc/passwd 0", "does not name a file inside"),
        ("../val/b.jpg 0", "does not name a file inside"),
        ("c.jpg 0", r"train/c\.jpg: no such file, which train\.txt lists"),
        ("b.jpg 0\nb.jpg 1", "lists 'b.jpg' twice"),
        ("", "lists no images"),
    ],
)
def test_broken_lists(make_classification, list_root, line, message):
    (list_root / "train.txt").write_text(line + "\n")
    with pytest.raises(DataError, match=message):
        make_classification(format="list").dataset("train")


def test_a_list_without_its_folder(make_classification, list_root):
    (list_root / "val/b.jpg").unlink()
    (list_root / "val").rmdir()
    with pytest.raises(DataError, match=r"val: no such folder .*val\.txt lists"):
        make_classification(format="list").dataset("val")


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60))
def test_any_list_is_read_or_a_data_error(tmp_path_factory, text):
    root = tmp_path_factory.getbasetemp()
    (root / "train").mkdir(exist_ok=True)
    (root / "train.txt").write_text(text, encoding="utf-8", errors="replace")
    with pytest.raises(DataError) as caught:  # there is no image
        ImageList().read(ClassificationOptions(root=str(root)), "train")
    assert caught.value.where


@pytest.fixture
def csv_root(tmp_path: Path) -> Path:
    (tmp_path / "train.csv").write_text('id,image,label\n1,a.jpg,car\n2,"b, c.jpg",bus\n')
    (tmp_path / "val.csv").write_text("id,image,label\n1,a.jpg,tram\n")
    picture(tmp_path / "a.jpg")
    picture(tmp_path / "b, c.jpg")
    return tmp_path


def test_tables(make_classification, csv_root):
    task = build(make_classification)
    assert task.class_names == ["bus", "car", "tram"]
    assert labels(task) == {"a.jpg": "car", "b, c.jpg": "bus"}
    assert labels(task, "val") == {"a.jpg": "tram"}
    other = build(make_classification, label_column="id", class_map={"1": "one", "2": None})
    assert labels(other) == {"a.jpg": "one"}


def test_one_table_of_both_splits_and_images_by_stem(make_classification, tmp_path):
    (tmp_path / "images").mkdir()
    for name in ("a.jpg", "b.png", "c.jpg", "d.jpg"):
        picture(tmp_path / "images" / name)
    rows = "a,train,cat,Siam\nb,more,dog,Pug\nc,val,cat,Siam\nd,unused,cat,Manx\n"
    (tmp_path / "classes.csv").write_text(f"stem,split,species,breed\n{rows}")
    table = {"format": "csv", "train": "classes", "val": "classes", "split_column": "split", "images": "images"}
    options = {**table, "image_column": "stem", "label_column": "species", "train_splits": ["train", "more"]}
    task = build(make_classification, **options)
    assert labels(task) == {"a.jpg": "cat", "b.png": "dog"}
    assert labels(task, "val") == {"c.jpg": "cat"}
    breeds = build(make_classification, **{**options, "label_column": "breed"})
    assert breeds.class_names == ["Manx", "Pug", "Siam"]
    with pytest.raises(DataError, match=r"has not one column 'part'"):
        build(make_classification, **{**options, "split_column": "part"}).dataset("train")
    (tmp_path / "classes.csv").write_text(f"stem,split,species,breed\n{rows}e,train,dog,Pug\n")
    with pytest.raises(DataError, match=r"images/e: no such file, which classes\.csv lists"):
        build(make_classification, **options).dataset("train")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("image,class\na.jpg,car\n", "has not one column 'label' .*image, class; set"),
        ("image,label,label\na.jpg,car,car\n", "has not one column 'label'"),
        ("image,label\na.jpg\n", "row 2 has not 2 values"),
        ("image,label\na.jpg,\n", "row 2 has not 2 values with a class"),
        ("image,label\n", "lists no images"),
        ("image,label\nz.jpg,car\n", r"z\.jpg: no such file, which train\.csv lists"),
        ("image,label\n../z.jpg,car\n", "does not name a file inside"),
        ("image,label\na.jpg,car\na.jpg,bus\n", "lists 'a.jpg' twice"),
        ('image,label\n"a.jpg,car\n', "is not a table"),
    ],
)
def test_broken_tables(make_classification, csv_root, text, message):
    (csv_root / "train.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        build(make_classification).dataset("train")


def test_two_layouts_in_one_root_are_not_guessed_between(make_classification, list_root):
    with pytest.raises(DataError, match=r"2 known ways: folders, list .*set format"):
        build(make_classification).dataset("train")


def test_names_of_a_tree_may_not_be_missing(make_classification, cars_root):
    with pytest.raises(ConfigError, match=r"class_names: lacks the class 'Gamma Sedan 2001'"):
        build(make_classification, class_names=CARS[:2]).dataset("train")
