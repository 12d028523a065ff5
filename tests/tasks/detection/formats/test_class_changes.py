"""class_map: renaming, merging, dropping and ignoring stored classes, and what ignored regions do."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from umbel import ConfigError, DataError, read_json, write_json
from umbel.tasks.detection.formats.class_changes import change_classes
from umbel.tasks.detection.formats.records import Annotations, Box, make_record
from umbel.tasks.detection.metric.metric import DetectionMetric
from umbel.tasks.detection.model.training_rows import training_rows
from umbel.tasks.detection.options import DetectionOptions
from umbel.tasks.detection.prediction import ANY_CLASS, BoxTarget, Detections

BOXES = [[1, 1, 9, 9], [10, 10, 9, 9], [20, 3, 9, 9]]
CATEGORIES = [{"id": 12, "name": "stop"}, {"id": -3, "name": "yield"}, {"id": 40, "name": "crossing"}]


@pytest.fixture
def three(coco_folder):
    """One box of each of three classes; stored by id: yield -3, stop 12, crossing 40."""
    entries = [
        {"id": i, "image_id": 7, "category_id": category["id"], "bbox": box}
        for i, (category, box) in enumerate(zip(CATEGORIES, BOXES, strict=True))
    ]
    root = coco_folder(categories=CATEGORIES, annotations=entries)
    (root / "annotations" / "val.json").write_text((root / "annotations" / "train.json").read_text())
    return root


def found(task) -> list[tuple[str, float, bool]]:
    """Class, left side and crowd of every box."""
    target = task.dataset("train")[0].target
    names = ["" if k == ANY_CLASS else task.categories.names[k] for k in target.classes_N]
    return list(zip(names, target.boxes_N4[:, 0].tolist(), target.crowd_N.tolist(), strict=True))


def test_renaming_keeps_the_category_ids(three, make_task):
    task = make_task(three, class_map={"stop": "halt"})
    assert (task.categories.names, task.categories.ids) == (("yield", "halt", "crossing"), (-3, 12, 40))
    assert found(task) == [("halt", 1, False), ("yield", 10, False), ("crossing", 20, False)]


def test_merged_classes_have_the_first_ones_id(three, make_task):
    task = make_task(three, class_map={"stop": "sign", "crossing": "sign"})
    assert (task.categories.names, task.categories.ids) == (("yield", "sign"), (-3, 12))
    assert found(task) == [("sign", 1, False), ("yield", 10, False), ("sign", 20, False)]


def test_null_drops_and_ignore_makes_regions(three, make_task):
    task = make_task(three, class_map={"stop": None, "crossing": "ignore"})
    assert (task.categories.names, task.categories.ids) == (("yield",), (-3,))
    assert found(task) == [("yield", 10, False), ("", 20, True)]
    target = task.dataset("train")[0].target
    assert training_rows([target], (30, 40))[:, 1].tolist() == [0.0]
    assert (task.draw(np.zeros((30, 40, 3), np.uint8), target) != 0).any()


def test_class_names_order_what_results(three, make_task):
    changes = {"stop": "sign", "crossing": "sign"}
    task = make_task(three, class_map=changes, class_names=["sign", "boat", "yield"])
    assert task.categories.ids == (12, 1, -3)
    assert found(task) == [("sign", 1, False), ("yield", 10, False), ("sign", 20, False)]
    regions = make_task(three, class_map={"stop": "ignore"}, class_names=["crossing", "yield"])
    assert found(regions) == [("", 1, True), ("yield", 10, False), ("crossing", 20, False)]
    with pytest.raises(DataError, match="not of the task: yield"):
        make_task(three, class_map=changes, class_names=["sign"]).dataset("train")


def test_what_was_learnt_is_enough_without_data_and_fits_the_data(three, make_task):
    changes = {"stop": "halt", "crossing": None}
    task = make_task(three, class_map=changes)
    learnt = task.inferred_options()
    assert make_task("absent", class_map=changes, **learnt).categories == task.categories
    assert found(make_task(three, class_map=changes, **learnt)) == found(task)


def test_a_map_may_name_a_class_that_only_the_other_split_lists(three, make_task):
    path = three / "annotations" / "val.json"
    content = read_json(path)
    content["categories"] = [entry for entry in CATEGORIES if entry["name"] != "crossing"]
    content["annotations"] = [entry for entry in content["annotations"] if entry["category_id"] != 40]
    write_json(path, content)
    task = make_task(three, class_map={"crossing": "stop"})
    assert [name for name, _, _ in found(task)] == ["stop", "yield", "stop"]
    assert task.dataset("val")[0].target.classes_N.tolist() == task.dataset("train")[0].target.classes_N.tolist()[:2]
    for split in ("train", "val"):
        with pytest.raises(ConfigError, match="'crosing' is no class of the data"):
            make_task(three, class_map={"crosing": "stop"}).dataset(split)


def test_wrong_maps_are_named(three, make_task):
    with pytest.raises(ConfigError, match=r"tasks\.signs\.options\.class_map: 'stpo' is no class.*did you mean 'stop'"):
        make_task(three, class_map={"stpo": "x"}).dataset("train")
    with pytest.raises(DataError, match="no class is left"):
        make_task(three, class_map=dict.fromkeys(("stop", "yield", "crossing"))).dataset("train")
    with pytest.raises(ValueError, match="class_names holds 'ignore'"):
        DetectionOptions(root="x", class_names=["ignore"], class_map={"a": "ignore"})


def test_the_recipes_map_replaces_the_formats(tmp_path):
    boxes = [Box((0.0, 0.0, 5.0, 5.0), k, False, str(k)) for k in range(3)]
    stored = Annotations(
        (make_record(tmp_path, "x", tmp_path, boxes),), ("a", "b", "c"), None, "f", {"b": None, "c": None}
    )
    changed = change_classes(stored, {"c": "d"}, "tasks.x")
    assert changed.class_names == ("a", "d")
    assert changed.records[0].classes_N.tolist() == [0, 1]
    assert changed.records[0].box_ids == ("0", "2")


def score(boxes: list[list[float]], classes: list[int], target: BoxTarget) -> float:
    metric = DetectionMetric()
    scores = torch.linspace(0.9, 0.5, len(boxes))
    metric.update([Detections(torch.tensor(boxes), scores, torch.tensor(classes), (100, 100))], [target])
    return metric.compute()["map50"].item()


def test_detections_in_regions_of_no_class_are_neither_right_nor_wrong():
    real, region = [0.0, 0, 20, 20], [50.0, 50, 90, 90]
    inside, outside = [55.0, 55, 70, 70], [25.0, 55, 40, 70]
    target = BoxTarget(np.array([real, region], np.float32), np.array([1, ANY_CLASS]), np.array([False, True]))
    assert score([inside, real], [1, 1], target) == pytest.approx(1.0)
    assert score([outside, real], [1, 1], target) == pytest.approx(0.5)
    assert score([inside, inside, real], [0, 1, 1], target) == pytest.approx(1.0)
    assert score([real], [0], target) == pytest.approx(0.0)


def test_regions_alone_score_zero_not_an_error():
    target = BoxTarget(np.array([[0, 0, 9, 9]], np.float32), np.array([ANY_CLASS]), np.array([True]))
    assert score([[0.0, 0, 9, 9]], [0], target) == 0.0
