"""Colour changes against albumentations', and the order, coins and ranges of the jitter."""

from __future__ import annotations

from collections import Counter

import cv2
import numpy as np
import pytest
from albumentations.augmentations.pixel import functional as theirs
from hypothesis import given, settings
from hypothesis import strategies as st

from umbel import ColourJitter
from umbel.data import color_jitter as colour

PAIRS = {
    "brightness": (colour.adjust_brightness, theirs.adjust_brightness_torchvision),
    "contrast": (colour.adjust_contrast, theirs.adjust_contrast_torchvision),
    "saturation": (colour.adjust_saturation, theirs.adjust_saturation_torchvision),
}


def picture(seed: int, height: int = 37, width: int = 53) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", PAIRS)
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**31), factor=st.floats(0.01, 2.5))
def test_a_change_is_albumentations_to_a_grey_level(name, seed, factor):
    ours, other = PAIRS[name]
    image = picture(seed)
    out = ours(image, factor)
    assert out.dtype == np.uint8
    assert np.abs(out.astype(int) - other(image, factor)).max() <= 1
    assert np.array_equal(image, picture(seed))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**31), turn=st.floats(-0.5, 0.5).filter(bool))
def test_hue_is_albumentations_to_the_bit(seed, turn):
    image = picture(seed)
    assert np.array_equal(colour.adjust_hue(image, turn), theirs.adjust_hue_torchvision(image, turn))
    assert np.array_equal(image, picture(seed))


def test_strengths_of_nothing_change_nothing():
    rng = np.random.default_rng(0)
    assert np.array_equal(ColourJitter()(picture(0), rng), picture(0))
    assert rng.random() == np.random.default_rng(0).random()


def test_jitter_is_a_function_of_the_key_and_leaves_the_image_alone():
    image, jitter = picture(1), ColourJitter(0.4, 0.4, 0.4, 0.1, prob=0.5)
    outs = [jitter(image, np.random.default_rng(seed)) for seed in range(40)]
    again = [jitter(image, np.random.default_rng(seed)) for seed in range(40)]
    assert all(np.array_equal(a, b) for a, b in zip(outs, again, strict=True))
    assert len({out.tobytes() for out in outs}) > 30
    assert np.array_equal(image, picture(1))


def test_each_change_has_a_coin_and_a_uniform_factor_of_its_own_and_the_order_is_random(monkeypatch):
    calls: list[tuple[str, float]] = []
    for name in colour._CHANGES:
        note = lambda image, factor, name=name: (calls.append((name, factor)), image)[1]  # noqa: E731
        monkeypatch.setitem(colour._CHANGES, name, note)
    jitter, rng = ColourJitter(0.4, 1.5, 0.2, 0.1, prob=0.5), np.random.default_rng(0)
    firsts: Counter[str] = Counter()
    for _ in range(4000):
        before = len(calls)
        jitter(picture(0, 2, 2), rng)
        firsts.update(name for name, _ in calls[before : before + 1])
    low_high = {"brightness": (0.6, 1.4), "contrast": (0.0, 2.5), "saturation": (0.8, 1.2), "hue": (-0.1, 0.1)}
    for name, (low, high) in low_high.items():
        factors = np.array([factor for called, factor in calls if called == name])
        assert abs(len(factors) / 4000 - 0.5) < 0.03
        assert low <= factors.min() < low + 0.05 * (high - low)
        assert high - 0.05 * (high - low) < factors.max() <= high
        assert abs(factors.mean() - (low + high) / 2) < 0.03 * (high - low)
        assert abs(firsts[name] / firsts.total() - 0.25) < 0.03


def test_grey_images_stay_grey():
    grey = cv2.cvtColor(picture(2)[..., 0], cv2.COLOR_GRAY2RGB)
    out = ColourJitter(saturation=0.9, hue=0.5)(grey, np.random.default_rng(3))
    assert np.abs(out.astype(int) - grey).max() <= 1
