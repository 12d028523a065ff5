"""Training augmentation: reproducible, aligned, and geometrically what it says."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from umbel import Sample
from umbel.tasks.segmentation.augment import GREY, Augmenter, Geometry
from umbel.tasks.segmentation.options import SegmentationOptions

COLOURS = np.zeros((256, 3), np.uint8)
COLOURS[:4] = [[250, 10, 10], [10, 250, 10], [10, 10, 250], [250, 250, 10]]
COLOURS[255] = GREY
STILL = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0, "blur_prob": 0.0}


def blocks(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A label map of 16-pixel blocks."""
    coarse = np.random.default_rng(seed).integers(0, 4, (height // 16 + 1, width // 16 + 1), dtype=np.uint8)
    return coarse.repeat(16, 0).repeat(16, 1)[:height, :width]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from([(48, 80), (97, 61), (200, 150)]), st.sampled_from([(64, 96), (33, 47)]))
def test_labels_move_with_the_image(seed, size, crop):
    labels = blocks(*size, seed)
    augmenter = Augmenter(SegmentationOptions(root="", **STILL), crop)
    image, moved = augmenter(COLOURS[labels], labels, np.random.default_rng(seed))
    assert image.shape == (*crop, 3)
    assert moved.shape == crop
    assert set(np.unique(moved)) <= {0, 1, 2, 3, 255}
    compared = 0
    for label in np.unique(moved):
        core = cv2.erode((moved == label).astype(np.uint8), np.ones((5, 5)), borderValue=0) > 0  # away from blends
        assert np.abs(image[core].astype(int) - COLOURS[label]).max(initial=0) <= 1
        compared += core.sum()
    assert compared > 50


@pytest.mark.parametrize("hflip", [0.0, 1.0])
def test_without_scale_and_rotation_it_is_an_exact_crop(hflip):
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
    labels = np.arange(2000, dtype=np.int64).reshape(40, 50)
    labels = (labels % 251).astype(np.uint8)
    options = SegmentationOptions(root="", scale=[1.0, 1.0], rotation=0.0, hflip=hflip, **STILL)
    out_image, out_labels = Augmenter(options, (24, 32))(image, labels, np.random.default_rng(3))
    if hflip:
        out_image, out_labels = out_image[:, ::-1], out_labels[:, ::-1]
    found = [
        (y, x)
        for y in range(17)
        for x in range(19)
        if np.array_equal(out_image, image[y : y + 24, x : x + 32])
        and np.array_equal(out_labels, labels[y : y + 24, x : x + 32])
    ]
    assert len(found) == 1


def test_every_crop_position_is_reached_and_none_beyond():
    corners = set()
    for seed in range(200):
        geometry = Augmenter(SegmentationOptions(root="", scale=[1.0, 1.0], rotation=0.0), (8, 8)).draw_geometry(
            np.random.default_rng(seed)
        )
        matrix = Geometry(1.0, 0.0, geometry.corner, False).matrix((10, 9), (8, 8))
        assert np.allclose(matrix[:, :2], np.eye(2))
        corners.add((round(-matrix[1, 2]), round(-matrix[0, 2])))
    assert corners == {(y, x) for y in range(3) for x in range(2)}


def test_small_images_are_padded_bottom_and_right_with_grey_and_ignore():
    image = np.full((10, 20, 3), 200, np.uint8)
    labels = np.full((10, 20), 2, np.uint8)
    options = SegmentationOptions(root="", scale=[1.0, 1.0], rotation=0.0, hflip=0.0, **STILL)
    out_image, out_labels = Augmenter(options, (16, 32))(image, labels, np.random.default_rng(0))
    assert (out_labels[:10, :20] == 2).all()
    assert (out_labels[10:] == 255).all()
    assert (out_labels[:, 20:] == 255).all()
    assert (out_image[10:] == 128).all()
    assert (out_image[:10, :20] == 200).all()


@pytest.mark.parametrize("angle", [-15.0, 7.0, 90.0])
@pytest.mark.parametrize("scale", [0.5, 1.25, 2.0])
def test_the_rotated_canvas_holds_the_whole_image(angle, scale):
    height, width = 60, 100
    matrix = Geometry(scale, angle, (0.0, 0.0), False).matrix((height, width), (1, 1))
    corners = np.array([[-0.5, -0.5], [width - 0.5, -0.5], [-0.5, height - 0.5], [width - 0.5, height - 0.5]])
    moved = corners @ matrix[:, :2].T + matrix[:, 2] + 0.5
    low, high = moved.min(0), moved.max(0)
    assert (low >= -1e-6).all()
    assert (low < 1.0).all()  # and no more than that
    assert np.allclose(high - low, (corners.max(0) - corners.min(0)) @ np.abs(matrix[:, :2]).T)
    assert abs(np.linalg.det(matrix[:, :2]) - scale**2) < 0.02


def test_positive_angles_turn_counter_clockwise():
    matrix = Geometry(1.0, 90.0, (0.0, 0.0), False).matrix((60, 100), (1, 1))
    assert np.allclose(matrix @ [99, 0, 1], [0, 0], atol=1e-6)  # top right goes to top left


def test_scaling_agrees_with_resize():
    rng = np.random.default_rng(0)
    image = cv2.GaussianBlur(rng.integers(0, 256, (60, 80, 3), dtype=np.uint8), (9, 9), 0)
    options = SegmentationOptions(root="", scale=[1.75, 1.75], rotation=0.0, hflip=0.0, **STILL)
    found, _ = Augmenter(options, (105, 140))(image, image[..., 0].copy(), np.random.default_rng(0))
    expected = cv2.resize(image, (140, 105), interpolation=cv2.INTER_LINEAR)
    assert np.abs(found.astype(int) - expected)[2:-2, 2:-2].max() <= 2


def test_scales_lie_on_the_grid_or_fill_the_range():
    def drawn(step: float) -> set[float]:
        augmenter = Augmenter(SegmentationOptions(root="", scale_step=step), (8, 8))
        return {augmenter.draw_geometry(np.random.default_rng(seed)).scale for seed in range(120)}

    assert drawn(0.25) == {0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0}
    continuous = drawn(0.0)
    assert len(continuous) == 120
    assert min(continuous) >= 0.5
    assert max(continuous) <= 2.0


def test_augmentation_is_a_function_of_the_key_alone(make_segmentation):
    task = make_segmentation()
    rng = np.random.default_rng(0)
    sample = Sample(rng.integers(0, 256, (50, 70, 3), dtype=np.uint8), blocks(50, 70), "x", (50, 70))
    kept = sample.image.copy(), sample.target.copy()
    first = task.augment(sample, np.random.default_rng(7))
    task.augment(sample, np.random.default_rng(8))
    again = make_segmentation().augment(sample, np.random.default_rng(7))
    later = task.augment(sample, np.random.default_rng(7))
    other = task.augment(sample, np.random.default_rng(9))
    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.image, later.image)
    assert np.array_equal(first.target, later.target)
    assert not np.array_equal(first.image, other.image)
    assert np.array_equal(sample.image, kept[0])
    assert np.array_equal(sample.target, kept[1])
    assert (first.id, first.size) == ("x", (50, 70))


def test_colours_change_but_labels_do_not():
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    labels = blocks(32, 32)
    options = SegmentationOptions(root="", scale=[1.0, 1.0], rotation=0.0, hflip=0.0, jitter_prob=1.0, blur_prob=1.0)
    out_image, out_labels = Augmenter(options, (32, 32))(image, labels, np.random.default_rng(0))
    assert not np.array_equal(out_image, image)
    assert np.array_equal(out_labels, labels)
