"""Files that are right in either form, and files that are wrong in every way we know."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from umbel_challenge.polygons import contours_of
from umbel_challenge.reader import read_submission
from umbel_challenge.submission import BoxEntry, Submission, write_submission

from umbel import DataError

GOOD: dict[str, Any] = {
    "cls": {"00001.jpg": 0, "00002.jpg": 195},
    "dec": [{"image_id": 1, "category_id": 3, "bbox": [1, 2.5, 3, 4], "score": 0.5}],
    "seg": {"a.png": {"0": [[[0, 0], [0, 3], [3, 3], [3, 0]]], "7": [[2, 2]], "9": []}},
}


def save(path: Path, content: Any) -> Path:
    file = path / "pred_results.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return file


@pytest.mark.parametrize("list_form", [False, True])
def test_what_is_written_is_read(tmp_path, list_form):
    labels = np.random.default_rng(0).integers(0, 19, (30, 20)).astype(np.uint8)
    labels[3, 4] = 18
    entry = BoxEntry(4, 7, (0.1, 1 / 3, 2.0, 3.0), float(np.float32(0.7)))
    given_ = Submission({"a.png": contours_of(labels, 19)}, {"x.jpg": 3, "y.jpg": 0}, [entry])
    write_submission(tmp_path / "s.json", given_, list_form=list_form)
    found = read_submission(tmp_path / "s.json")
    assert found.cls == given_.cls
    assert found.dec == given_.dec
    assert list(found.seg) == ["a.png"]
    for index, contours in given_.seg["a.png"].items():
        assert [contour.tolist() for contour in found.seg["a.png"][index]] == [contour.tolist() for contour in contours]
    content = json.loads((tmp_path / "s.json").read_text())
    assert list(content) == ["cls", "dec", "seg"]
    assert isinstance(content["cls"], list) == isinstance(content["seg"], list) == list_form
    if list_form:
        assert content["cls"] == [{"x.jpg": 3}, {"y.jpg": 0}]


def test_sections_that_are_not_there(tmp_path):
    write_submission(tmp_path / "s.json", Submission(cls={"a": 1}))
    assert read_submission(tmp_path / "s.json", ["cls"]).cls == {"a": 1}
    with pytest.raises(DataError, match=r"has no key 'seg' \(it has 'cls'"):
        read_submission(tmp_path / "s.json", ["seg", "cls"])


def test_good_file(tmp_path):
    found = read_submission(save(tmp_path, GOOD))
    assert found.dec == [BoxEntry(1, 3, (1.0, 2.5, 3.0, 4.0), 0.5)]
    assert [contour.tolist() for contour in found.seg["a.png"][7]] == [[2, 2]]


def changed(section: str, value: Any) -> dict[str, Any]:
    return {**GOOD, section: value}


def box(**change: Any) -> dict[str, Any]:
    return changed("dec", [GOOD["dec"][0], {**GOOD["dec"][0], **change}])


def polygons(value: Any, key: str = "5") -> dict[str, Any]:
    return changed("seg", {"a.png": {key: value}})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is not valid JSON"),
        (json.dumps(GOOD)[:-9], "is not valid JSON.*cut off"),
        ("[" * 100000, "is not valid JSON"),
        ([], "holds no object"),
        ({"cls": {}, "seg": {}}, "has no key 'dec'"),
        ('{"cls": {"a": 1, "b": 1, "a": 2}, "dec": [], "seg": {}}', "has the key 'a' twice"),
        (changed("cls", [{"a": 1}, {"a": 1}]), "cls has image 'a' twice"),
        (changed("cls", [{"a": 1, "b": 2}]), "cls, entry 0 is no object of one key"),
        (changed("cls", [["a", 1]]), "cls, entry 0 is no object of one key"),
        (changed("cls", 3), "cls is not an object or a list"),
        (changed("cls", {"a": "3"}), "cls, image 'a' has class '3'"),
        (changed("cls", {"a": True}), "cls, image 'a' has class True"),
        (changed("cls", {"a": -1}), "cls, image 'a' has class -1"),
        (changed("cls", {"a": 1.0}), "cls, image 'a' has class 1.0"),
        (changed("dec", {}), "dec is not a list of detections"),
        (changed("dec", [3]), "dec, entry 0 is no object"),
        (changed("dec", [{"image_id": 1}]), "dec, entry 0 has no 'category_id'"),
        (box(image_id=None), "dec, entry 1 on image None has no proper image_id"),
        (box(category_id="3"), "dec, entry 1 on image 1 has category_id '3'"),
        (box(bbox=[1, 2, 3]), r"dec, entry 1 on image 1 has bbox \[1, 2, 3\]; expected 4"),
        (box(bbox=[1, 2, 3, 4, 5]), "entry 1 .*expected 4"),
        (box(bbox=[1, 2, "3", 4]), "entry 1 .*expected 4"),
        (box(bbox=[1, 2, float("nan"), 4]), "entry 1 .*has bbox .*nan.*finite"),
        (box(bbox=[1, 2, float("inf"), 4]), "entry 1 .*finite"),
        (box(bbox=[1, 2, -3, 4]), "entry 1 .*negative width"),
        (box(score=float("nan")), "dec, entry 1 on image 1 has score nan"),
        (box(score=None), "entry 1 .*has score None"),
        (changed("seg", {"a.png": []}), "seg, image 'a.png' is not an object of polygons"),
        (polygons([], "road"), "seg, image 'a.png' has class 'road'"),
        (polygons([], "-1"), "has class '-1'"),
        (polygons([], "256"), "has class '256'"),
        (changed("seg", {"a.png": {"1": [], "01": []}}), "has class '01'; expected a number of 0..255, once"),
        (polygons({}), "seg, image 'a.png', class 5 is not a list of contours"),
        (polygons([[[0, 0]], 7]), "class 5, contour 1 is no list of"),
        (polygons([[]]), "contour 0 is no list of"),
        (polygons([[1, 2, 3]]), "contour 0 is no list of"),
        (polygons([[[1, 2], [3]]]), "contour 0 is no list of"),
        (polygons([[[1, 2], [3, "4"]]]), "contour 0 is no list of"),
        (polygons([[[True, False]]]), "contour 0 is no list of"),
        (polygons([[[[1, 2]]]]), "contour 0 is no list of"),
        (polygons([[[1, 2], [float("nan"), 3]]]), "contour 0 has a vertex that is not within"),
        (polygons([[[1, 2], [1e9, 3]]]), "contour 0 has a vertex that is not within"),
        (polygons([[1, 10**30]]), "contour 0 is no list|contour 0 has a vertex"),
    ],
)  # fmt: skip
def test_the_entry_at_fault_is_named(tmp_path, content, message):
    with pytest.raises(DataError, match=rf"pred_results\.json: .*{message}") as caught:
        read_submission(save(tmp_path, content))
    assert caught.value.exit_code == 3


def test_a_missing_file(tmp_path):
    with pytest.raises(DataError, match=r"gone\.json: no such file"):
        read_submission(tmp_path / "gone.json")


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(section=st.sampled_from(["cls", "dec", "seg"]), value=anything, depth=st.integers(0, 3))
def test_nonsense_is_read_or_refused(tmp_path_factory, section, value, depth):
    """Never another exception than DataError."""
    nested = [value, {"a.png": value}, [{"a.png": {"3": value}}], {"a.png": {"3": [value]}}][depth]
    if section == "dec" and depth:
        keys = ("image_id", "category_id", "bbox", "score")
        nested = [{**GOOD["dec"][0], keys[depth]: value}]
    file = save(tmp_path_factory.mktemp("nonsense"), changed(section, nested))
    with contextlib.suppress(DataError):
        read_submission(file)
