"""Contours give the label map back, whatever it looks like."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from umbel_challenge.polygons import contours_of, paint


def there_and_back(labels: np.ndarray, classes: int, *, compat_road: bool = False) -> np.ndarray:
    return paint(contours_of(labels, classes, compat_road=compat_road), labels.shape)


def plain(polygons: dict[int, list[np.ndarray]]) -> dict[str, list]:
    return {str(index): [contour.tolist() for contour in contours] for index, contours in polygons.items()}


def test_golden_polygons(golden):
    """The organisers' code, whose class 0 is the whole image."""
    numbers = golden("seg_polygons.json")
    mask = np.array(numbers["mask"], np.uint8)
    assert plain(contours_of(mask, 19, compat_road=True)) == numbers["polygons"]
    own = plain(contours_of(mask, 19))
    assert {key: value for key, value in own.items() if key != "0"} == {
        key: value for key, value in numbers["polygons"].items() if key != "0"
    }
    assert own["0"] != numbers["polygons"]["0"]
    assert (there_and_back(mask, 19) == mask).all()
    assert (there_and_back(mask, 19, compat_road=True) == mask).all()


def test_every_mask_of_4_by_4():
    for bits in range(0, 1 << 16, 1):
        mask = (bits >> np.arange(16) & 1).astype(np.uint8).reshape(4, 4)
        contours, _ = cv2.findContours(mask, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)
        painted = paint({1: [np.squeeze(contour) for contour in contours]}, (4, 4))
        assert (painted == mask).all(), mask


def _random_map(seed: int, height: int, width: int, classes: int, block: int, thin: int) -> np.ndarray:
    """Blocks of random classes, nested rings, lines of one pixel and single pixels."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, classes, (-(-height // block), -(-width // block)))
    labels = np.kron(coarse, np.ones((block, block))).astype(np.uint8)[:height, :width].copy()
    for _ in range(thin):
        ends = rng.integers(0, (width, height), (3, 2)).tolist()
        cv2.line(labels, ends[0], ends[1], int(rng.integers(0, classes)))
        for radius in range(int(rng.integers(1, 9)), 0, -1):  # nested classes
            cv2.circle(labels, ends[2], radius, int(rng.integers(0, classes)), int(rng.choice([1, -1])))
        labels[tuple(rng.integers(0, (height, width)))] = rng.integers(0, classes)
    return labels


maps = st.builds(
    _random_map,
    seed=st.integers(0, 2**32 - 1),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    classes=st.integers(1, 19),
    block=st.integers(1, 6),
    thin=st.integers(0, 4),
)


@settings(max_examples=300, deadline=None)
@given(maps)
def test_nothing_is_lost(labels):
    assert (there_and_back(labels, 19) == labels).all()
    assert (there_and_back(labels, 19, compat_road=True) == labels).all()


@settings(max_examples=50, deadline=None)
@given(maps)
def test_classes_do_not_overlap_without_the_defect(labels):
    """A grader that looks at each class on its own sees the same masks."""
    for index, contours in contours_of(labels, 19).items():
        assert (paint({1: contours}, labels.shape) == (labels == index)).all()


def test_holes_and_islands_in_them():
    labels = np.zeros((15, 15), np.uint8)
    for inset, value in ((1, 4), (3, 2), (5, 4), (6, 9), (7, 4)):
        labels[inset:-inset, inset:-inset] = value
    assert len(contours_of(labels, 19)[4]) == 5  # three regions, of which two have a hole
    assert (there_and_back(labels, 19) == labels).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1)])
def test_a_single_class_fills_the_image(size):
    labels = np.full(size, 18, np.uint8)
    polygons = contours_of(labels, 19)
    assert polygons[18][0].shape == ((2,) if size == (1, 1) else (2, 2))
    assert (paint(polygons, size) == 18).all()


def test_pixels_in_no_contour_are_of_class_0():
    assert (paint({3: [np.array([[1, 1], [1, 2]])]}, (4, 4)) == 0).sum() == 14
    assert (paint({}, (2, 3)) == 0).all()
