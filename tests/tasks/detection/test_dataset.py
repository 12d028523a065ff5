from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from umbel import ConfigError, DataError, read_json, write_image, write_json
from umbel.tasks.detection.formats.cleaning import clean_boxes
from umbel.tasks.detection.formats.records import Record

IMAGES = [{"id": 7, "file_name": "a.png", "width": 40, "height": 30}]
STOP_YIELD = [{"id": 12, "name": "stop"}, {"id": -3, "name": "yield"}]


def test_real_data_is_read_whole(shared, make_task):
    """Counts of the data's own README; boxes against the JSON."""
    task = make_task(shared / "data" / "det")
    content = json.loads((shared / "data" / "det" / "annotations" / "val.json").read_text())
    data = task.dataset("val")
    assert (len(data), len(task.dataset("train")), data.dropped) == (150, 468, 0)
    assert task.categories.names == ("trafficlight", "stop", "speedlimit", "crosswalk")
    sample = data[3]
    wanted = [a for a in content["annotations"] if a["image_id"] == content["images"][3]["id"]]
    boxes = [[a["bbox"][0], a["bbox"][1], a["bbox"][0] + a["bbox"][2], a["bbox"][1] + a["bbox"][3]] for a in wanted]
    assert sample.target.boxes_N4.tolist() == boxes
    assert sample.target.boxes_N4.dtype == np.float32
    assert (sample.target.classes_N + 1).tolist() == [a["category_id"] for a in wanted]
    assert (sample.id, sample.size) == (content["images"][3]["file_name"], sample.image.shape[:2])


def test_category_ids_are_mapped_in_ascending_order_and_back(coco_folder, make_task):
    task = make_task(coco_folder([[1, 2, 10, 12]]))
    assert (task.categories.names, task.categories.ids) == (("yield", "stop"), (-3, 12))
    assert task.dataset("train")[0].target.classes_N.tolist() == [1]


def test_images_without_boxes_are_kept(coco_folder, make_task):
    target = make_task(coco_folder([])).dataset("train")[0].target
    assert target.boxes_N4.shape == (0, 4)


def test_overhanging_boxes_are_clipped_and_slivers_dropped(coco_folder, make_task):
    data = make_task(coco_folder([[-5, -5, 15, 25], [30, 20, 100, 100], [39.5, 0, 9, 9], [3, 3, 0.5, 9]])).dataset(
        "train"
    )
    assert data[0].target.boxes_N4.tolist() == [[0, 0, 10, 20], [30, 20, 40, 30]]
    assert data.dropped == 2


BAD = {
    "not finite": [math.nan, 2, 3, 4],
    "inverted": [10, 10, -4, 5],
    "side of zero": [3, 3, 0, 9],
    "outside": [40, 3, 5, 5],
}


@pytest.mark.parametrize("fault", BAD)
def test_bad_boxes_are_refused_by_name_or_dropped(coco_folder, make_task, fault):
    root = coco_folder([[1, 1, 9, 9]])
    path = root / "annotations" / "train.json"
    content = json.loads(path.read_text())
    content["annotations"].append({"id": 555, "image_id": 7, "category_id": 12, "bbox": BAD[fault]})
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=rf"train\.json: annotation 555 of image 'a\.png'.*{fault}"):
        make_task(root).dataset("train")
    data = make_task(root, bad_boxes="drop").dataset("train")
    assert (data.dropped, len(data[0].target.boxes_N4)) == (1, 1)


number = st.one_of(st.floats(-60, 90), st.sampled_from([math.nan, math.inf, -math.inf, 1e300, 0.0, 30.0, 40.0]))


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(number, number, number, number), max_size=6))
def test_dropping_leaves_only_boxes_inside_the_image(rows):
    boxes = np.array(rows, dtype=np.float64).reshape(-1, 4)
    count = len(boxes)
    record = Record(None, "x", "file", None, boxes, np.arange(count), np.zeros(count, bool), ("box",) * count)
    target, dropped = clean_boxes(record, (30, 40), "drop")
    assert dropped + len(target.boxes_N4) == count
    for index, corners in zip(target.classes_N, target.boxes_N4, strict=True):
        x1, y1, x2, y2 = corners
        assert 0 <= x1 < x2 <= 40
        assert 0 <= y1 < y2 <= 30
        assert min(x2 - x1, y2 - y1) >= 1 - 1e-5
        assert corners == pytest.approx(np.clip(boxes[index], 0, [40, 30, 40, 30]), rel=1e-6)


CHANGES = {
    r"category 99.*categories are": {
        "annotations": [{"id": 1, "image_id": 7, "category_id": 99, "bbox": [0, 0, 5, 5]}]
    },
    r"image 8, which is not": {"annotations": [{"id": 1, "image_id": 8, "category_id": 12, "bbox": [0, 0, 5, 5]}]},
    r"bbox \[0, 0, 5\]; expected": {"annotations": [{"id": 1, "image_id": 7, "category_id": 12, "bbox": [0, 0, 5]}]},
    r"expected \[x, y": {"annotations": [{"id": 1, "image_id": 7, "category_id": 12, "bbox": [0, 0, 5, "9"]}]},
    r"annotation 1 has iscrowd '0'; expected 0 or 1": {
        "annotations": [{"id": 1, "image_id": 7, "category_id": 12, "bbox": [0, 0, 5, 5], "iscrowd": "0"}]
    },
    r"no 'bbox'": {"annotations": [{"id": 1, "image_id": 7, "category_id": 12}]},
    r"an entry has no 'id'": {"images": [None]},
    r"no list 'images'.*keys are": {"images": None},
    r"category id 12 is given twice": {"categories": [{"id": 12, "name": "stop"}, {"id": 12, "name": "yield"}]},
    r"category name 'stop' is given twice": {"categories": [{"id": 12, "name": "stop"}, {"id": 13, "name": "stop"}]},
    r"id '1', of the wrong type \(expected an integer\)": {"categories": [{"id": "1", "name": "stop"}]},
    r"image_id 'None', of the wrong type \(expected an integer or a string\)": {
        "annotations": [{"id": 1, "image_id": None, "category_id": 12, "bbox": [0, 0, 5, 5]}]
    },
    r"image id 7 is given twice": {"images": [*IMAGES, {"id": 7, "file_name": "b.png"}]},
    r"file_name 'a.png' is given twice": {"images": [*IMAGES, {"id": 8, "file_name": "a.png"}]},
    r"'\.\./secret\.png' does not name a file inside": {"images": [{"id": 7, "file_name": "../secret.png"}]},
    r"image 'b\.png' does not exist.*looked for": {"images": [{"id": 7, "file_name": "b.png"}]},
}


@pytest.mark.parametrize("message", CHANGES)
def test_broken_annotations_are_named(coco_folder, make_task, message):
    with pytest.raises(DataError, match=message) as caught:
        make_task(coco_folder([], **CHANGES[message])).dataset("train")
    assert "train.json" in str(caught.value)


def test_stated_size_must_be_the_images(coco_folder, make_task):
    data = make_task(coco_folder([], images=[IMAGES[0] | {"width": 30, "height": 40}])).dataset("train")
    with pytest.raises(DataError, match=r"a\.png: is 40 x 30 pixels; .*train\.json says 30 x 40"):
        data[0]


def test_without_a_stated_size_boxes_are_checked_on_access(coco_folder, make_task):
    root = coco_folder([[-4, 0, 9, 9]], images=[{"id": 7, "file_name": "a.png"}])
    assert make_task(root).dataset("train")[0].target.boxes_N4.tolist() == [[0, 0, 5, 9]]


def test_image_folder_with_subfolders(coco_folder, make_task):
    root = coco_folder([], images=[{"id": 7, "file_name": "deep/b.png"}])
    write_image(root / "train" / "deep" / "b.png", np.zeros((5, 6, 3), np.uint8))
    assert make_task(root).dataset("train")[0].id == "deep/b.png"


def test_splits_must_agree_on_the_classes(coco_folder, make_task):
    other = [{"id": 12, "name": "stop"}, {"id": 4, "name": "give way"}]
    root = coco_folder([], categories=other)
    assert make_task(root).dataset("val")[0].target.classes_N.tolist() == []  # no box says which class is right
    val = read_json(root / "annotations/val.json")
    val["annotations"] = [{"id": 1, "image_id": 7, "category_id": -3, "bbox": [0, 0, 9, 9]}]
    write_json(root / "annotations/val.json", val)
    with pytest.raises(DataError, match=r"not of the task: yield .*class_map: \{yield: null\} leaves boxes out"):
        make_task(root).dataset("val")
    assert len(make_task(root, class_map={"yield": None}).dataset("val")) == 1
    moved = [{"id": 12, "name": "yield"}, {"id": 13, "name": "stop"}]
    with pytest.raises(DataError, match=r"other ids: yield is -3, not 12, stop is 12, not 13"):
        make_task(coco_folder([], categories=moved)).dataset("val")


def test_class_names_of_the_recipe_set_the_order(coco_folder, make_task):
    task = make_task(coco_folder([[0, 0, 9, 9]]), class_names=["boat", "stop", "yield"])
    assert task.dataset("val")[0].target.classes_N.tolist() == [1]
    assert task.categories.ids == (1, 12, -3)
    assert len(make_task(coco_folder([]), class_names=["stop"]).dataset("val")) == 1  # no box is of the other
    with pytest.raises(DataError, match="not of the task: stop"):
        make_task(coco_folder([[0, 0, 9, 9]]), class_names=["yield"]).dataset("val")


def test_classes_are_known_without_data_when_the_recipe_names_them(make_task):
    assert make_task("absent", class_names=["a", "b"]).categories.ids == (1, 2)
    with pytest.raises(DataError, match=r"absent \(that is /.*/absent\): no such folder"):
        _ = make_task("absent").categories


def test_what_was_learnt_from_the_data_replaces_it(coco_folder, make_task):
    task = make_task(coco_folder([]))
    learnt = task.inferred_options()
    assert learnt == {"class_names": ["yield", "stop"], "category_ids": [-3, 12]}
    assert make_task("absent", **learnt).categories == task.categories
    assert len(make_task(task.options.root, **learnt).dataset("val")) == 1
    with pytest.raises(DataError, match="other ids: yield is -3, not 3"):
        make_task(task.options.root, class_names=["yield", "stop"], category_ids=[3, 12]).dataset("val")


def test_data_without_categories_needs_class_names(coco_folder, make_task):
    root = coco_folder([], categories=[])
    with pytest.raises(DataError, match=r"train\.json: has no categories .*class_names"):
        _ = make_task(root).categories
    assert len(make_task(root, class_names=["a"]).dataset("train")) == 1


def test_unknown_formats_and_splits_are_named(coco_folder, make_task):
    root = coco_folder([])
    with pytest.raises(ConfigError, match=r"format is 'cocoa'.*coco"):
        make_task(root, format="cocoa").dataset("train")
    with pytest.raises(
        DataError, match=r"no known way; .*coco: annotations/train\.json.*voc: .*yolo: .*tt100k: .*challenge"
    ):
        make_task(root, train_annotations="a.mat", val_annotations="b.mat").dataset("train")
    with pytest.raises(DataError, match=r"no split 'test'"):
        make_task(root).dataset("test")
