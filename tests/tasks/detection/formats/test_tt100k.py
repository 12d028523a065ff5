"""TT100K's own schema: the real signs, and what a broken file says."""

from __future__ import annotations

import json
import logging
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from umbel import ConfigError, DataError, write_image, write_json
from umbel.tasks.detection.formats.registry import find_format
from umbel.tasks.detection.formats.tt100k import FREQUENT


def sign(category: Any = "pn", **bbox: Any) -> dict[str, Any]:
    return {"category": category, "bbox": {"xmin": 3.5, "ymin": 4, "xmax": 20, "ymax": 24} | bbox}


def content(*objects: Any, **changes: Any) -> dict[str, Any]:
    image = {"id": 5, "path": "train/5.jpg", "objects": list(objects)}
    other = {"id": 9, "path": "test/9.jpg", "objects": []}
    return {"types": ["pn", "pl35", "w1"], "imgs": {"5": image | changes, "9": other}}


@pytest.fixture
def signs(tmp_path):
    def make(written: Any) -> Path:
        for name in ("train/5.jpg", "test/9.jpg"):
            write_image(tmp_path / name, np.full((30, 40, 3), 90, np.uint8))
        write_json(tmp_path / "annotations.json", written)
        return tmp_path

    return make


def test_the_45_categories():
    assert len(FREQUENT) == len(set(FREQUENT)) == 45
    assert list(FREQUENT) == sorted(FREQUENT)


@pytest.mark.parametrize("others", ["drop", "ignore", "keep"])
def test_real_signs_equal_those_of_the_coco_file(shared, make_task, caplog, others):
    """30 images and 75 signs of 151 types; 67 signs are of the 45 categories."""
    file = "annotations_reconstructed.json"
    task = make_task(
        shared / "formats" / "tt100k", train_annotations=file, val_annotations=file, other_categories=others
    )
    with caplog.at_level(logging.INFO):
        found = task._annotations("val")
    assert len(found.records) == 30
    assert len(found.class_names) == (151 if others == "keep" else 45)
    coco = json.loads((shared / "formats" / "tt100k" / "coco_151" / "test_excerpt.json").read_text())
    categories = {category["id"]: category["name"] for category in coco["categories"]}
    expected, ignored = {}, 0
    for image in coco["images"]:
        rows = []
        for entry in coco["annotations"]:
            if entry["image_id"] == image["id"]:
                x, y, w, h = entry["bbox"]
                name = categories[entry["category_id"]]
                rows += [(name, x, y, x + w, y + h)] if others == "keep" or name in FREQUENT else []
        expected["test/" + image["file_name"]] = sorted(rows)
    for record in found.records:
        solid = ~record.crowd_N
        ignored += int(record.crowd_N.sum())
        names = [found.class_names[k] for k in record.classes_N[solid]]
        rows = sorted((name, *box) for name, box in zip(names, record.boxes_N4[solid].tolist(), strict=True))
        assert [row[0] for row in rows] == [row[0] for row in expected[record.id]]
        corners = [[row[1:] for row in side] for side in (rows, expected[record.id])]
        assert np.allclose(*corners, atol=1e-3)
    assert sum(map(len, expected.values())) == (75 if others == "keep" else 67)
    assert ignored == (8 if others == "ignore" else 0)
    logged = [record.getMessage() for record in caplog.records if "other_categories" in record.getMessage()]
    assert len(logged) == (0 if others == "keep" else 1)
    assert others == "keep" or "8 of 75 signs are of 8 categories" in logged[0]
    task._annotations("val")
    assert len([record for record in caplog.records if "other_categories" in record.getMessage()]) == len(logged)


def test_train_and_test_share_the_45_classes_in_their_order(signs, make_task):
    task = make_task(signs(content(sign("wo"), sign("pl35"), sign("i2"))))
    train, val = task.dataset("train"), task.dataset("val")
    assert task.categories.names == FREQUENT
    assert [(data[0].id, data[0].target.classes_N.tolist()) for data in (train, val)] == [
        ("train/5.jpg", [44, 0]),
        ("test/9.jpg", []),
    ]
    assert train[0].target.boxes_N4[0].tolist() == [3.5, 4, 20, 24]
    assert train.records[0].image_id == 5
    learnt = task.inferred_options()
    assert make_task("absent", **learnt).categories == task.categories
    assert make_task(task.options.root, **learnt).dataset("train")[0].target.classes_N.tolist() == [44, 0]


def test_named_rare_categories_are_kept(signs, make_task):
    root = signs(content(sign("pl35"), sign("w1"), sign("pn")))
    mapped = make_task(root, class_map={"pl35": "pl40", "w1": "ignore"}).dataset("train")[0].target
    assert mapped.classes_N.tolist() == [FREQUENT.index("pl40"), -1, FREQUENT.index("pn")]
    assert mapped.crowd_N.tolist() == [False, True, False]
    assert make_task(root, class_names=["pl35", "pn"]).dataset("train")[0].target.classes_N.tolist() == [0, 1]
    with pytest.raises(ConfigError, match=r"class_map: 'pl53' is no class"):
        make_task(root, class_map={"pl53": None}).dataset("train")


def test_without_types_the_classes_are_those_that_occur(signs, make_task):
    written = content(sign("pl35"))
    del written["types"]
    task = make_task(signs(written), other_categories="keep")
    assert Counter(task.categories.names) == Counter([*FREQUENT, "pl35"])


def test_other_folders_can_be_a_split(signs, make_task):
    root = signs(content(sign()))
    assert make_task(root, val_images="train").dataset("val")[0].id == "train/5.jpg"
    with pytest.raises(DataError, match=r"has no image of the folder 'other' \(set val_images to one of test, train"):
        make_task(root, val_images="other").dataset("val")


BROKEN: dict[str, Any] = {
    "objects.0. of image '5' has category 'p99', which is not in types": content(sign("p99")),
    "has category '7', of the wrong type": content(sign(7)),
    "bbox of objects.0. of image '5' has xmax '20', of the wrong type": content(sign(xmax="20")),
    "has no 'bbox'": content({"category": "pn"}),
    "is inverted": content(sign(xmax=1)),
    "side of zero": content(sign(ymax=4)),
    "lies outside the image: corners": content(sign(xmin=-9, xmax=-2)),
    "image '5' has no 'path'": content() | {"imgs": {"5": {"objects": []}}},
    r"entry 'train/\.\./\.\./x\.jpg' does not name a file": content(path="train/../../x.jpg"),
    "image 'train/6.jpg' does not exist": content(path="train/6.jpg"),
    "path 'train/5.jpg' is given twice": content()
    | {"imgs": {key: {"path": "train/5.jpg", "objects": []} for key in "12"}},
    "the file has imgs .*wrong type": content() | {"imgs": []},
    "the file has no 'imgs'": {"images": []},
    "types that are not text": content() | {"types": ["a", 1]},
    "type 'a' is given twice": content() | {"types": ["a", "a"]},
}


@pytest.mark.parametrize("message", BROKEN)
def test_broken_files_are_named(signs, make_task, message):
    with pytest.raises(DataError, match=message) as caught:
        make_task(signs(BROKEN[message]), format="tt100k").dataset("train")
    assert "annotations.json" in str(caught.value)


def test_numbers_that_are_not_finite_and_deep_nesting(signs, make_task):
    root = signs(content(sign()))
    file = root / "annotations.json"
    whole = file.read_text()
    for number in ("NaN", "Infinity", "9" * 400):
        file.write_text(whole.replace("3.5", number))
        with pytest.raises(DataError, match=r"objects\[0\] of image 'train/5\.jpg' is not finite"):
            make_task(root, format="tt100k").dataset("train")
        assert make_task(root, format="tt100k", bad_boxes="drop").dataset("train").dropped == 1
    file.write_text('{"imgs": ' + "[" * 100_000)
    with pytest.raises(DataError, match="not valid JSON"):
        make_task(root).dataset("train")


def test_box_beyond_the_image_is_found_once_its_size_is_known(signs, make_task):
    data = make_task(signs(content(sign(xmin=50, xmax=60)))).dataset("train")
    with pytest.raises(DataError, match="outside the image of 40 x 30 pixels"):
        data[0]


def test_the_files_first_key_tells_it_from_coco(signs, make_task):
    root = signs(content())
    assert type(find_format(make_task(root).options)).__name__ == "TT100K"
    named = {f"{split}_annotations": "annotations.json" for split in ("train", "val")}
    assert type(find_format(make_task(root, **named).options)).__name__ == "TT100K"
    write_json(root / "annotations.json", {"images": [], "annotations": [], "categories": []})
    assert type(find_format(make_task(root, **named).options)).__name__ == "Coco"
