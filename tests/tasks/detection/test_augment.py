from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from umbel import Sample
from umbel.tasks.detection.augment import DetectionAugment, crop_boxes, fit_into
from umbel.tasks.detection.options import DetectionOptions
from umbel.tasks.detection.prediction import BoxTarget


def target_of(boxes, crowd=None) -> BoxTarget:
    boxes = np.array(boxes, dtype=np.float32).reshape(-1, 4)
    return BoxTarget(boxes, np.arange(len(boxes)), np.zeros(len(boxes), bool) if crowd is None else np.array(crowd))


def painted(size, boxes) -> Sample:
    """A black image whose boxes are white."""
    image = np.zeros((*size, 3), np.uint8)
    for x1, y1, x2, y2 in boxes:
        image[y1:y2, x1:x2] = 255
    return Sample(image, target_of(boxes), "x", size)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.booleans(), st.sampled_from([(64, 64), (64, 96)]))
def test_boxes_stay_on_their_pixels(seed, keep_ratio, size):
    """The one white box of the image and its label agree after crop, resize and mirror, to a pixel of the crop."""
    sample = painted((120, 200), [(60, 40, 100, 80)])
    augment = DetectionAugment(DetectionOptions(root="", keep_ratio=keep_ratio), size)
    out = augment(sample, np.random.default_rng(seed))
    assert out.image.shape == (*size, 3)
    assert out.image.flags["C_CONTIGUOUS"]
    white = out.image[..., 0] > 200  # padding is 128
    columns, rows = white.any(0).nonzero()[0], white.any(1).nonzero()[0]
    assert len(out.target.boxes_N4) == 1
    seen = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
    assert out.target.boxes_N4[0] == pytest.approx(seen, abs=1.5)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([(1.0, 1.0), (0.5, 2.0)]))
def test_crops_keep_to_their_range_and_hold_a_centre(seed, aspect):
    boxes = [(1900, 20, 1916, 36), (700, 1000, 740, 1040)]
    options = DetectionOptions(root="", crop_aspect=list(aspect))
    augment = DetectionAugment(options, (64, 64))
    x, y, width, height = augment._crop_window((2048, 2048), target_of(boxes), np.random.default_rng(seed))
    assert np.sqrt(width * height) / 2048 + 1e-3 >= 0.3
    assert np.sqrt(width * height) / 2048 <= 0.6 + 1e-3
    assert aspect[0] - 0.01 <= width / height <= aspect[1] + 0.01
    assert (x >= 0, y >= 0, x + width <= 2048, y + height <= 2048) == (True,) * 4
    assert len(crop_boxes(target_of(boxes), x, y, width, height).classes_N) >= 1


def test_large_crops_keep_their_area_by_a_milder_aspect():
    options = DetectionOptions(root="", crop_scale=[0.9, 1.0], crop_aspect=[0.05, 20.0])
    augment = DetectionAugment(options, (64, 64))
    for seed in range(20):
        _, _, width, height = augment._crop_window((500, 500), target_of([]), np.random.default_rng(seed))
        assert np.sqrt(width * height) / 500 >= 0.898


def test_images_without_boxes_or_with_crowds_only_are_cropped_at_random():
    options = DetectionOptions(root="")
    for target in (target_of([]), target_of([(0, 0, 4, 4)], crowd=[True])):
        sample = Sample(np.zeros((90, 90, 3), np.uint8), target, "x", (90, 90))
        starts = {
            DetectionAugment(options, (32, 32))._crop_window(sample.size, target, np.random.default_rng(i))[:2]
            for i in range(5)
        }
        assert len(starts) == 5
        out = DetectionAugment(options, (32, 32))(sample, np.random.default_rng(0))
        assert out.target.boxes_N4.shape[1] == 4


def test_only_boxes_with_their_centre_inside_stay_and_are_clipped():
    cropped = crop_boxes(target_of([(0, 0, 9, 9), (6, 6, 18, 18), (15, 15, 30, 30)]), 5, 5, 10, 10)
    assert cropped.classes_N.tolist() == [1]
    assert cropped.boxes_N4.tolist() == [[1, 1, 10, 10]]


def test_small_boxes_are_dropped_after_the_resize():
    sample = painted((100, 100), [(10, 10, 20, 20), (50, 50, 90, 90)])
    options = DetectionOptions(root="", no_crop_prob=1.0, hflip=0.0, min_box_px=4.0)
    out = DetectionAugment(options, (32, 32))(sample, np.random.default_rng(0))
    assert out.target.classes_N.tolist() == [1]
    assert out.target.boxes_N4[0] == pytest.approx([16, 16, 28.8, 28.8])


def test_letterbox_pads_with_grey_at_the_end():
    sample = painted((50, 100), [(0, 0, 100, 50)])
    options = DetectionOptions(root="", no_crop_prob=1.0, keep_ratio=True)
    out = DetectionAugment(options, (64, 64))(sample, np.random.default_rng(0))
    assert (out.image[:32] == 255).all()
    assert (out.image[32:] == 128).all()
    assert out.target.boxes_N4.tolist() == [[0, 0, 64, 32]]
    assert fit_into((1, 4000), (64, 64)) == (1, 64)


def test_colour_jitter_is_a_function_of_the_key():
    image = np.random.default_rng(5).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    sample = Sample(image, target_of([(4, 4, 30, 30)]), "x", (40, 40))
    options = DetectionOptions(
        root="", no_crop_prob=1.0, hflip=0.0, brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1
    )
    augment = DetectionAugment(options, (40, 40))
    digests = [
        hashlib.sha256(augment(sample, np.random.default_rng(seed)).image.tobytes()).hexdigest() for seed in (1, 2, 1)
    ]
    assert digests[0] == digests[2] != digests[1]
    assert (sample.image == image).all()
