"""Training augmentation: reproducible, sized, and statistically what it says."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from umbel import Sample, resize_image
from umbel.tasks.classification.augment import MEAN, STD, Augmenter, erase
from umbel.tasks.classification.options import ClassificationOptions

OFF = {"hflip": 0.0, "jitter_prob": 0.0, "erase_prob": 0.0}


def picture(height: int = 40, width: int = 56, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_with_all_off_it_is_a_bicubic_squash():
    out = Augmenter(ClassificationOptions(root="", **OFF), (64, 96))(picture(), np.random.default_rng(0))
    assert np.array_equal(out, resize_image(picture(), (64, 96), "bicubic"))


def test_flip_is_left_right():
    options = ClassificationOptions(root="", **{**OFF, "hflip": 1.0})
    out = Augmenter(options, (40, 56))(picture(), np.random.default_rng(0))
    assert np.array_equal(out, picture()[:, ::-1])


def test_saturation_moves_pixels_along_the_line_to_their_grey():
    options = ClassificationOptions(root="", **{**OFF, "jitter_prob": 1.0})
    image = picture() // 4 + 96  # far from clipping
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None].astype(float)
    for seed in range(10):
        out = Augmenter(options, (40, 56))(image, np.random.default_rng(seed)).astype(float)
        chroma = image - grey
        factor = (chroma * (out - grey)).sum() / (chroma**2).sum()
        assert 0.59 < factor < 1.41
        assert np.abs(out - (grey + factor * chroma)).max() <= 1.5


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**31), st.integers(8, 60), st.integers(8, 60))
def test_erasing_replaces_one_rectangle_within_its_limits(seed, height, width):
    image = np.zeros((height, width, 3), np.uint8)
    out = erase(image, np.random.default_rng(seed), [0.02, 1 / 3], [0.3, 3.3])
    assert (image == 0).all()
    changed = out.any(axis=2)
    if not changed.any():
        return
    ys, xs = np.nonzero(changed)
    rows, columns = np.ptp(ys) + 1, np.ptp(xs) + 1
    # sides are rounded to whole pixels
    assert (rows - 0.5) * (columns - 0.5) <= height * width / 3
    assert (rows + 0.5) * (columns + 0.5) >= 0.02 * height * width
    assert (rows - 0.5) / (columns + 0.5) <= 3.3
    assert (rows + 0.5) / (columns - 0.5) >= 0.3
    assert changed.sum() > 0.9 * rows * columns


def test_erased_pixels_are_standard_normal_after_normalisation():
    out = erase(np.zeros((400, 400, 3), np.uint8), np.random.default_rng(0), [0.3, 0.33], [0.9, 1.1])
    noise = (out[out.any(axis=2)].astype(float) - MEAN) / STD
    assert np.abs(noise.mean(0)).max() < 0.05  # clipping at 0 and 255 takes a little off both tails
    assert np.abs(noise.std(0) - 1).max() < 0.06


def test_random_crop_keeps_part_of_the_image():
    ramp = np.broadcast_to(np.linspace(0, 255, 200).astype(np.uint8)[None, :, None], (200, 200, 3)).copy()
    options = ClassificationOptions(root="", crop_scale=[0.25, 0.25], crop_ratio=[1.0, 1.0], **OFF)
    out = Augmenter(options, (50, 50))(ramp, np.random.default_rng(1))
    assert out.shape == (50, 50, 3)
    assert np.ptp(out.astype(int)) == pytest.approx(127, abs=8)


def test_augmentation_is_a_function_of_the_key_alone(make_classification):
    task = make_classification()
    sample = Sample(picture(), 3, "x", (40, 56))
    first = task.augment(sample, np.random.default_rng(7))
    task.augment(sample, np.random.default_rng(8))
    assert first.image.shape == (64, 64, 3)
    assert (first.target, first.id, first.size) == (3, "x", (40, 56))
    assert np.array_equal(first.image, task.augment(sample, np.random.default_rng(7)).image)
    assert np.array_equal(first.image, make_classification().augment(sample, np.random.default_rng(7)).image)
    assert not np.array_equal(first.image, task.augment(sample, np.random.default_rng(9)).image)
    assert np.array_equal(sample.image, picture())
