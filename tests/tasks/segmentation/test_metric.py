"""Mean IoU against mmseg's and PaddleSeg's numbers and against loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from umbel import DataError
from umbel.tasks.segmentation.metric import MeanIoU
from umbel.tasks.segmentation.prediction import LabelMap

CASES = ["one_image_nc5", "with_all_ignored_image", "two_images_pooled"]


def label_map(labels) -> LabelMap:
    return LabelMap(torch.as_tensor(np.array(labels, np.uint8)))


@pytest.mark.parametrize("case", CASES)
def test_golden_cases(golden, case):
    numbers = golden("miou.json")["cases"][case]
    names = [f"c{i}" for i in range(numbers["num_classes"])]
    metric = MeanIoU(names, 255)
    metric.update(
        [label_map(pred) for pred in numbers["pred_maps"]], [np.array(m, np.uint8) for m in numbers["label_maps"]]
    )
    scores = metric.compute()
    assert scores["miou"].item() == pytest.approx(numbers["miou_absent_as_zero"], rel=1e-5)
    assert scores["miou_present"].item() == pytest.approx(numbers["miou_nanmean"], rel=1e-5)
    assert scores["pixel_accuracy"].item() == pytest.approx(numbers["aAcc"], rel=1e-5)
    for name, expected in zip(names, numbers["iou"], strict=True):
        found = metric.per_class()[name]
        assert found is None if expected == "nan" else found == pytest.approx(expected, rel=1e-5)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 6), st.integers(1, 4), st.sampled_from([255, 0]))
def test_pooled_over_images_like_sets_of_pixels(seed, classes, images, ignore):
    rng = np.random.default_rng(seed)
    predictions = [rng.integers(0, classes, (4, 5)) for _ in range(images)]
    targets = [np.where(rng.random((4, 5)) < 0.2, ignore, rng.integers(0, classes, (4, 5))) for _ in range(images)]
    metric = MeanIoU([str(i) for i in range(classes)], ignore)
    for prediction, target in zip(predictions, targets, strict=True):
        metric.update([label_map(prediction)], [target.astype(np.uint8)])
    ious = []
    pixels = [(i, y, x) for i in range(images) for y in range(4) for x in range(5) if targets[i][y, x] != ignore]
    for c in range(classes):
        predicted = {p for p in pixels if predictions[p[0]][p[1:]] == c}
        true = {p for p in pixels if targets[p[0]][p[1:]] == c}
        ious.append(len(predicted & true) / len(predicted | true) if predicted | true else None)
    present = [iou for iou in ious if iou is not None]
    scores = metric.compute()
    assert scores["miou"].item() == pytest.approx(sum(present) / classes)
    assert scores["miou_present"].item() == pytest.approx(sum(present) / len(present) if present else 0.0)


def test_counts_are_exact_integers_beyond_float32():
    metric = MeanIoU(["a", "b"], 255)
    metric.confusion += 2**40
    metric.update([label_map([[0]])], [np.array([[0]], np.uint8)])
    assert metric.confusion[0, 0].item() == 2**40 + 1


def test_sizes_must_agree():
    with pytest.raises(DataError, match=r"\(2, 2\).*\(2, 3\)"):
        MeanIoU(["a"], 255).update([label_map(np.zeros((2, 2)))], [np.zeros((2, 3), np.uint8)])


@pytest.mark.parametrize(("classes", "dtype"), [(1, np.uint8), (3, np.int64), (256, np.uint16), (300, np.uint16)])
def test_counts_of_large_images_and_many_classes(classes, dtype, monkeypatch):
    monkeypatch.setattr("umbel.tasks.segmentation.metric._EXACT", 40)  # parts of two rows
    rng = np.random.default_rng(classes)
    predicted, true = rng.integers(0, classes, (2, 7, 20))
    true[rng.random((7, 20)) < 0.2] = 400
    metric = MeanIoU([str(i) for i in range(classes)], 400)
    metric.update([LabelMap(torch.from_numpy(predicted.astype(dtype)))], [torch.from_numpy(true)])
    expected = np.zeros((classes, classes), np.int64)
    for row, column in zip(true.ravel(), predicted.ravel(), strict=True):
        if row != 400:
            expected[row, column] += 1
    assert np.array_equal(metric.confusion.numpy(), expected)
