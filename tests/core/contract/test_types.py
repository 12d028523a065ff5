"""Views and sizes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from umbel import FeatureSpec, View, round_up


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height * 1000 + width).integers(0, 256, (height, width, 3), dtype=np.uint8)


def as_tensor(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image).permute(2, 0, 1)


def as_array(image: torch.Tensor) -> np.ndarray:
    return image.permute(1, 2, 0).numpy()


@pytest.mark.parametrize("size", [(48, 80), (20, 31), (37, 64), (74, 33)])
def test_resize_agrees_with_opencv_within_rounding(size):
    image = picture(37, 53)
    expected = cv2.resize(image, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
    out = as_array(View(size).apply(as_tensor(image), (0, 0, 0)))
    assert out.dtype == np.float32
    assert np.abs(out - expected).max() <= 1.0  # opencv rounds its weights to 11 bits and its result to integers


def test_bicubic_stays_in_range_and_follows_opencv():
    image = picture(20, 24)
    out = as_array(View((40, 48), interpolation="bicubic").apply(as_tensor(image), (0, 0, 0)))
    expected = cv2.resize(image, (48, 40), interpolation=cv2.INTER_CUBIC)
    assert out.min() >= 0
    assert out.max() <= 255
    assert np.abs(out - expected).max() <= 1.0


def test_same_size_stays_uint8_and_equal():
    image = as_tensor(picture(8, 9))
    assert torch.equal(View((8, 9)).apply(image, (0, 0, 0)), image)


def test_flip_comes_before_padding():
    image = as_tensor(picture(4, 6))
    out = View((4, 6), hflip=True, canvas=(7, 9)).apply(image, (10.4, 20.6, 30))
    assert out.dtype == torch.uint8
    assert torch.equal(out[:, :4, :6], image.flip(-1))
    for channel, value in enumerate((10, 21, 30)):
        assert (out[channel, 4:] == value).all()
        assert (out[channel, :, 6:] == value).all()


def test_a_canvas_smaller_than_the_content_is_refused():
    with pytest.raises(ValueError, match="does not fit a canvas"):
        View((32, 32), canvas=(64, 31))


@given(st.tuples(st.integers(1, 5000), st.integers(1, 5000)), st.integers(1, 256))
def test_round_up_is_the_smallest_multiple(size, multiple):
    for side, rounded in zip(size, round_up(size, multiple), strict=True):
        assert rounded % multiple == 0
        assert 0 <= rounded - side < multiple


def test_feature_spec_finds_a_level_or_names_the_strides():
    spec = FeatureSpec((8, 16), (4, 8))
    assert spec.level(8) == 1
    with pytest.raises(ValueError, match=r"no feature level of stride 16.*\[4, 8\]"):
        spec.level(16)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_a_large_image_is_resized_to_the_same_within_rounding(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    image = torch.randint(0, 256, (301, 203, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    view = View((64, 90), hflip=True, canvas=(64, 96), interpolation=mode)
    for layout in (image.permute(2, 0, 1), image.permute(2, 0, 1).contiguous()):
        expected = view.apply(layout, (1, 2, 3))
        monkeypatch.setattr("umbel.contract.types.LARGE", 0)
        torch.testing.assert_close(view.apply(layout, (1, 2, 3)), expected, atol=1e-4, rtol=0)
        monkeypatch.undo()
