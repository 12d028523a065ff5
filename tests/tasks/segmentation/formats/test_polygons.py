"""Label maps from polygons: four kinds of files, the painting order, and broken entries."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from umbel import DataError, write_image
from umbel.tasks.segmentation.formats.drawing import Drawing, Outline
from umbel.tasks.segmentation.formats.polygon_files import read_polygons

SQUARE = [[2, 2], [6, 2], [6, 6], [2, 6]]
BIG = [[0, 0], [9, 0], [9, 7], [0, 7]]
PLAIN = {"a.png": [{"label": "lane", "points": SQUARE}, {"label": "car", "points": [[4, 4], [9, 4], [9, 7]]}]}
VIA = {
    "a.png123": {
        "filename": "a.png",
        "size": 123,
        "regions": [
            {
                "shape_attributes": {
                    "name": "polygon",
                    "all_points_x": [x for x, _ in shape["points"]],
                    "all_points_y": [y for _, y in shape["points"]],
                },
                "region_attributes": {"type": shape["label"], "note": ""},
            }
            for shape in PLAIN["a.png"]
        ],
    }
}
VIA_1 = {"a.png123": {**VIA["a.png123"], "regions": dict(enumerate(VIA["a.png123"]["regions"]))}}
COCO = {
    "images": [{"id": 7, "file_name": "a.png"}],
    "categories": [{"id": 3, "name": "lane"}, {"id": 1, "name": "car"}],
    "annotations": [
        {"id": 1, "image_id": 7, "category_id": 3, "segmentation": [np.ravel(SQUARE).tolist()]},
        {"id": 2, "image_id": 7, "category_id": 1, "segmentation": [[4, 4, 9, 4, 9, 7]]},
    ],
}
SCALABEL = [
    {
        "name": "a.png",
        "labels": [
            {"category": shape["label"], "poly2d": [{"vertices": shape["points"], "types": "LLLL", "closed": True}]}
            for shape in PLAIN["a.png"]
        ]
        + [{"category": "box only", "box2d": {}}],
    }
]
KINDS = {
    "plain": PLAIN,
    "via": VIA,
    "via 1": VIA_1,
    "via project": {"_via_settings": {}, "_via_img_metadata": VIA},
    "coco": COCO,
    "scalabel": SCALABEL,
    "scalabel frames": {"frames": SCALABEL},
}


def write(root: Path, content: Any, split: str = "train") -> Path:
    write_image(root / "images/a.png", np.zeros((8, 10, 3), np.uint8))
    path = root / f"polygons_{split}.json"
    path.write_text(json.dumps(content))
    return path


def target_of(task, split="train"):
    [sample] = list(task.dataset(split))
    return sample.target


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_the_same_labels(make_segmentation, tmp_path, kind):
    write(tmp_path, KINDS[kind])
    task = make_segmentation(class_names=[])
    assert task.class_names == ["car", "lane"]
    expected = np.full((8, 10), 255, np.uint8)
    expected[2:7, 2:7] = 1
    for row, first in ((4, 4), (5, 6), (6, 7), (7, 9)):  # the triangle's pixels, edges touched
        expected[row, first:] = 0
    found = target_of(task)
    assert np.array_equal(found == 1, (expected == 1) & (found != 0))
    inside = [(4, 8), (5, 8), (6, 9)]
    assert all(found[at] == 0 for at in inside)
    assert (found[:2] == 255).all()


def test_street_scenes_are_read(make_segmentation, shared):
    task = make_segmentation(root=str(shared / "data/extra/street_counts"), class_names=[])
    train, val = task.dataset("train"), task.dataset("val")
    assert (len(train), len(val)) == (121, 53)
    assert task.class_names == ["lane", "motorbike", "obstacle", "pedestrian", "vehicle"]
    assert sum(len(record.labels.outlines) for record in train.records) == 912
    sample = val[0]
    assert sample.id == "Clases0167.jpg"
    assert sample.target[90, 150] == 0  # the lane
    assert sample.target[50, 115] == 4  # the second vehicle
    assert sample.target[-1, -1] == 255


def test_background_may_be_a_class(make_segmentation, tmp_path):
    write(tmp_path, PLAIN)
    task = make_segmentation(class_names=[], background="other", class_map={"car": None})
    assert task.class_names == ["other", "lane"]
    target = target_of(task)
    assert target[0, 0] == 0
    assert target[3, 3] == 1
    assert target[5, 8] == 255
    names = ["lane", "car", "other"]
    assert target_of(make_segmentation(class_names=names, background="other"))[0, 0] == 2


def test_painting_order(make_segmentation, tmp_path):
    write(tmp_path, {"a.png": [{"label": "b", "points": SQUARE}, {"label": "a", "points": BIG}]})
    found = {
        order: target_of(make_segmentation(class_names=[], paint_order=order)) for order in ("file", "area", "class")
    }
    assert (found["file"] == 0).all()
    assert set(np.unique(found["area"])) == set(np.unique(found["class"])) == {0, 1}
    assert np.array_equal(found["area"], found["class"])
    write(tmp_path, {"a.png": [{"label": "a", "points": SQUARE}, {"label": "b", "points": BIG}]})
    found = {
        order: target_of(make_segmentation(class_names=[], paint_order=order)) for order in ("file", "area", "class")
    }
    assert (found["file"] == 1).all()
    assert (found["class"] == 1).all()
    assert (found["area"] == 0).sum() == 25


def test_classes_of_both_splits_count(make_segmentation, tmp_path):
    write(tmp_path, PLAIN)
    write(tmp_path, {"a.png": [{"label": "bus", "points": SQUARE}]}, "val")
    task = make_segmentation(class_names=[])
    assert task.class_names == ["car", "lane", "bus"]
    assert target_of(task, "val")[3, 3] == 2


def test_images_may_lie_in_folders_of_their_split(make_segmentation, tmp_path):
    write(tmp_path, PLAIN)
    write_image(tmp_path / "images/train/a.png", np.zeros((9, 10, 3), np.uint8))
    assert target_of(make_segmentation(class_names=[])).shape == (9, 10)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(4, 24), st.integers(4, 24))
def test_contours_of_a_mask_give_the_mask_back(seed, height, width):
    """An independent oracle: outlines traced by OpenCV, filled again. Holes are closed first, they have no polygon."""
    rng = np.random.default_rng(seed)
    mask = (cv2.blur(rng.random((height, width)), (3, 3)) > 0.5).astype(np.uint8)
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = cv2.drawContours(np.zeros_like(mask), contours, -1, 1, cv2.FILLED)
    polygons = tuple(Outline(1, contour[:, 0].astype(float)) for contour in contours)
    assert np.array_equal(Drawing("", polygons, 0).read((height, width)), filled)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(-5, 30), st.floats(-5, 30)), min_size=3, max_size=3))
def test_a_triangle_covers_the_pixels_inside_and_none_far_outside(corners):
    points = np.array(corners)
    found = Drawing("", (Outline(1, points),), 0).read((20, 25))
    ys, xs = np.mgrid[:20, :25]
    pixels = np.stack([xs.ravel(), ys.ravel()], 1).astype(float)
    contour = points.astype(np.float32).reshape(-1, 1, 2)
    depth = np.array([cv2.pointPolygonTest(contour, (x, y), True) for x, y in pixels]).reshape(20, 25)
    assert (found[depth > 0.8] == 1).all()
    assert (found[depth < -2] == 0).all()


def broken(base: Any, *path: Any, value: Any) -> Any:
    content = json.loads(json.dumps(base))
    place = content
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return content


SHAPE = ("a.png123", "regions", 0)
BROKEN = [
    ([1, 2], "entry 0 has no proper 'name'"),
    ("text", "holds no polygon annotations"),
    ({"a.png": 3}, "'a.png' has no polygons"),
    ({"a.png": [3]}, "image 'a.png' has no proper 'label'"),
    (broken(PLAIN, "a.png", 0, "points", value=[[1, 2], [3, 4]]), "shape 0 of 'a.png' has no polygon of three"),
    (broken(PLAIN, "a.png", 1, "points", 0, value=[1, None]), "shape 1 of 'a.png'"),
    (broken(PLAIN, "a.png", 0, "points", 0, value=[1, float("nan")]), "finite points"),
    (broken(PLAIN, "a.png", 0, "points", 0, value=[1, 10**400]), "finite points"),
    ({"../a.png": []}, "does not name a file inside"),
    ({"/etc/passwd": []}, "does not name a file inside"),
    ({"b.png": []}, r"b\.png: no such file, which polygons_train\.json annotates"),
    (broken(VIA, *SHAPE, "shape_attributes", "name", value="circle"), "region 0 of 'a.png' is a circle"),
    (broken(VIA, *SHAPE, "shape_attributes", "all_points_x", value=[1]), "has 1 x for 4 y"),
    (broken(VIA, *SHAPE, "region_attributes", value={"a": "x", "b": "y"}), "has 2 attributes that could be its class"),
    (broken(VIA, *SHAPE, "region_attributes", value={}), "has 0 attributes"),
    (broken(VIA, "a.png123", "regions", value=3), "image 'a.png' has no list of regions"),
    ({"x": VIA["a.png123"], "y": VIA["a.png123"]}, "has image 'a.png' twice"),
    (broken(COCO, "categories", 1, "id", value=3), "category id 3 is given twice"),
    (broken(COCO, "annotations", 0, "image_id", value=8), "annotation 1 is on image 8"),
    (broken(COCO, "annotations", 1, "category_id", value=8), "annotation 2 has category 8"),
    (broken(COCO, "annotations", 1, "segmentation", value={"counts": "x"}), "run-length masks and boxes are not read"),
    (broken(COCO, "annotations", 1, "segmentation", value=[]), r"annotation 2 has no polygons but \[\]"),
    (broken(COCO, "annotations", 1, "segmentation", value=[[1, 2, 3]]), "annotation 2 has no polygon"),
    (broken(COCO, "images", value=[{"id": 7, "file_name": "a.png"}] * 2), "given twice"),
    (broken(COCO, "annotations", 0, value=5), "annotation 0 has no proper 'image_id'"),
    (broken(SCALABEL, 0, "labels", 0, "poly2d", 0, "types", value="LCCL"), "has curves"),
    (broken(SCALABEL, 0, "labels", 0, "poly2d", 0, "closed", value="false"), "has closed: 'false'"),
    (broken(broken(SCALABEL, 0, "labels", 0, "poly2d", 0, "closed", value=False),
            0, "labels", 0, "poly2d", 0, "vertices", value=[[1, 2]]), "has no line of two or more"),
    ({"a.png": [{"label": "a", "points": SQUARE[:2], "shape_type": "circle"}]}, "shape 0 of 'a.png' is a circle"),
    ({"a.png": [{"label": "a", "points": SQUARE[:2], "shape_type": "rectangle"}]}, "is a rectangle"),
    ({"a.png": [{"label": "a", "points": SQUARE[:1], "shape_type": "point"}]}, "is a point"),
    ({"a.png": [{"label": "a", "points": SQUARE[:2]}]}, "no polygon of three"),
    (broken(VIA, *SHAPE, "shape_attributes", "name", value="point"), "is a point"),
    (broken(VIA, *SHAPE, "shape_attributes", "name", value="rect"), "is a rect"),
    (broken(SCALABEL, 0, "labels", value=3), "image 'a.png' has no list of labels"),
    (broken(SCALABEL, 0, "labels", 0, value=3), "label 0 of 'a.png' has no proper 'category'"),
    (broken(SCALABEL, 0, "labels", 0, "poly2d", value=3), "label 0 of 'a.png'"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "message"), BROKEN, ids=[message[:40] for _, message in BROKEN])
def test_broken_files_are_data_errors(make_segmentation, tmp_path, content, message):
    write(tmp_path, content)
    with pytest.raises(DataError, match=rf"polygons_train\.json.*{message}|{message}"):
        make_segmentation(class_names=[]).dataset("train")


CORNER = [[4, 44], [4, 4], [60, 4]]  # a lane marking around a corner
LINES = {
    "plain": {"a.png": [{"label": "lane", "points": CORNER, "closed": False}]},
    "labelme": {"a.png": [{"label": "lane", "points": CORNER, "shape_type": "linestrip"}]},
    "scalabel": [{"name": "a.png", "labels": [
        {"category": "lane", "poly2d": [{"vertices": CORNER, "types": "LLL", "closed": False}]}]}],
    "via": {"a.png1": {"filename": "a.png", "regions": [{
        "shape_attributes": {"name": "polyline", "all_points_x": [4, 4, 60], "all_points_y": [44, 4, 4]},
        "region_attributes": {"class": "lane"}}]}},
}  # fmt: skip


@pytest.mark.parametrize("kind", LINES)
@pytest.mark.parametrize(("width", "pixels"), [(1, 97), (3, 297), (8, None)])
def test_an_open_line_is_a_line(make_segmentation, tmp_path, kind, width, pixels):
    write(tmp_path, LINES[kind])
    write_image(tmp_path / "images/a.png", np.zeros((48, 64, 3), np.uint8))
    target = target_of(make_segmentation(class_names=[], background="ground", line_width=width))
    lane = target == 1
    assert (target[20:44, 20:] == 0).all()
    assert lane[30].sum() == lane[:, 40].sum() == width
    if pixels is not None:
        assert lane.sum() == pixels


def test_lines_lie_over_areas_in_the_order_of_area(make_segmentation, tmp_path):
    write(tmp_path, {"a.png": [
        {"label": "a", "points": [[0, 4], [9, 4]], "closed": False}, {"label": "b", "points": BIG}]})  # fmt: skip
    assert (target_of(make_segmentation(class_names=[], paint_order="area")) == 0).sum() == 10
    assert (target_of(make_segmentation(class_names=[], paint_order="file")) == 1).all()


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-20, 45), st.integers(-20, 45)), min_size=2, max_size=4, unique=True),
    st.integers(1, 9),
)
def test_a_line_is_what_is_near_its_points(corners, width):
    """An independent oracle: the distance of every pixel to the segments, of lines that leave the image, too."""
    points = np.array(corners, float)
    found = Drawing("", (Outline(1, points, closed=False),), 0, width).read((20, 25))
    ys, xs = np.mgrid[:20, :25]
    distance = np.full((20, 25), np.inf)
    for (x0, y0), (x1, y1) in pairwise(points):
        along = np.clip(((xs - x0) * (x1 - x0) + (ys - y0) * (y1 - y0)) / ((x1 - x0) ** 2 + (y1 - y0) ** 2), 0, 1)
        distance = np.minimum(distance, np.hypot(xs - x0 - along * (x1 - x0), ys - y0 - along * (y1 - y0)))
    slack = 1.25 if width % 2 else 2.0  # of the nearest pixels; an even width has no middle one
    assert (found[distance <= width / 2 - slack] == 1).all()
    assert (found[distance > width / 2 + slack] == 0).all()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["a.png", "lane", "polygon", ""]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from([
            "images", "annotations", "categories", "id", "name", "file_name", "segmentation", "label", "points",
            "labels", "regions", "poly2d", "vertices", "filename", "shape_attributes", "region_attributes",
            "a.png", "frames",
        ]),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(JSON)
def test_any_json_is_read_or_a_data_error(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(json.dumps(content))
    try:
        read_polygons(path)
    except DataError as error:
        where = error.where
    else:
        return
    assert where == str(path)
