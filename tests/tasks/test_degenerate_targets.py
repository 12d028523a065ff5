"""Targets with nothing to learn from give finite losses, connected to the graph, and gradients that are 0."""

from __future__ import annotations

import os

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from umbel.tasks.classification.model.loss import smoothed_cross_entropy
from umbel.tasks.detection.model.anchors import COCO_ANCHORS
from umbel.tasks.detection.model.loss import Gains, detection_loss
from umbel.tasks.segmentation.model.loss import segmentation_loss

CASES = settings(max_examples=int(os.environ.get("UMBEL_CASES", "250")), deadline=None)
ANCHORS = torch.tensor(COCO_ANCHORS).view(3, 3, 2)
SEEDS = st.integers(0, 2**31 - 1)
LARGE = st.sampled_from([1e-6, 1.0, 30.0, 1e4, 3e38])  # of raw outputs; the last is nearly float32's largest
DTYPES = st.sampled_from([torch.float32, torch.bfloat16])


def raw(shape: tuple[int, ...], seed: int, scale: float, dtype: torch.dtype) -> Tensor:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed)).clamp(-1, 1) * scale
    return values.to(dtype).clamp(-3e38, 3e38).requires_grad_()


def check_finite(total: Tensor, *outputs: Tensor) -> None:
    assert torch.isfinite(total)
    assert total.requires_grad
    total.backward()
    for output in outputs:
        assert output.grad is not None
        assert torch.isfinite(output.grad).all()


@CASES
@given(SEEDS, st.integers(1, 3), st.integers(1, 5), st.integers(1, 4), st.sampled_from([255, 0]), st.booleans(), DTYPES)
def test_masks_that_are_all_ignored(
    seed: int, batch: int, classes: int, side: int, ignore: int, weighted: bool, dtype: torch.dtype
) -> None:
    main, aux = (raw((batch, classes, side, side), seed + i, 5.0, dtype) for i in range(2))
    labels = torch.full((batch, 4 * side, 4 * side), ignore, dtype=torch.uint8)
    weights = torch.linspace(0, 2, classes) if weighted else None
    losses = segmentation_loss((main, aux), labels, ignore, 0.4, weights)
    check_finite(losses.total, main, aux)
    assert losses.total == 0
    assert not main.grad.any()
    assert not aux.grad.any()


@CASES
@given(SEEDS, st.floats(0, 1), st.integers(2, 5), st.sampled_from([1e-6, 1.0, 30.0, 1e4]), st.booleans(), DTYPES)
def test_masks_of_any_share_of_labels(
    seed: int, share: float, classes: int, scale: float, zero_weights: bool, dtype: torch.dtype
) -> None:
    generator = torch.Generator().manual_seed(seed)
    output = raw((2, classes, 3, 3), seed, scale, dtype)
    labels = torch.randint(0, classes, (2, 6, 6), generator=generator, dtype=torch.uint8)
    ignored = torch.rand(labels.shape, generator=generator) >= share
    labels[ignored] = 255
    weights = torch.zeros(classes) if zero_weights else None
    losses = segmentation_loss(output, labels, 255, 0.0, weights)
    check_finite(losses.total, output)
    if ignored.all() or zero_weights:
        assert losses.total == 0
        assert not output.grad.any()


@CASES
@given(SEEDS, st.integers(1, 3), st.integers(1, 4), LARGE, DTYPES)
def test_images_without_boxes(seed: int, batch: int, classes: int, scale: float, dtype: torch.dtype) -> None:
    """Only objectness learns, that nothing is there: boxes and classes have no gradient."""
    scale = min(scale, 1e4)
    maps = [raw((batch, 3, side, side, 5 + classes), seed + side, scale, dtype) for side in (8, 4, 2)]
    losses = detection_loss(maps, torch.zeros(0, 6), ANCHORS, Gains())
    check_finite(losses.total, *maps)
    assert losses.parts["box"] == 0
    assert losses.parts["cls"] == 0
    for level in maps:
        assert not level.grad[..., :4].any()
        assert not level.grad[..., 5:].any()


@CASES
@given(SEEDS, st.integers(1, 12), st.sampled_from([1e-12, 1e-4, 0.1, 1.0]), st.sampled_from([1.0, 30.0, 1e4]), DTYPES)
def test_boxes_that_match_no_anchor_or_lie_on_the_border(
    seed: int, boxes: int, size: float, scale: float, dtype: torch.dtype
) -> None:
    generator = torch.Generator().manual_seed(seed)
    maps = [raw((2, 3, side, side, 8), seed + side, scale, dtype) for side in (8, 4, 2)]
    rows = torch.rand(boxes, 6, generator=generator)
    rows[:, 0] = torch.randint(0, 2, (boxes,), generator=generator)
    rows[:, 1] = torch.randint(0, 3, (boxes,), generator=generator)
    rows[:, 2:4] = rows[:, 2:4].round(decimals=1)  # 0 and 1 among them
    rows[:, 4:] *= size
    check_finite(detection_loss(maps, rows, ANCHORS, Gains()).total, *maps)


@CASES
@given(SEEDS, st.integers(1, 4), st.integers(1, 6), st.floats(0, 0.9), st.sampled_from(["torch", "organisers"]), LARGE)
def test_classes_with_extreme_logits(
    seed: int, batch: int, classes: int, smoothing: float, rule: str, scale: float
) -> None:
    scale = min(scale, 1e4)
    logits = raw((batch, classes), seed, scale, torch.float32)
    labels = torch.randint(0, classes, (batch,), generator=torch.Generator().manual_seed(seed))
    loss = smoothed_cross_entropy(logits, labels, smoothing, rule)
    check_finite(loss, logits)
    if classes == 1:
        assert not logits.grad.any()
