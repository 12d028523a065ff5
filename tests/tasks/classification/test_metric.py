"""Top-k accuracy against sorting."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from umbel.tasks.classification.metric import TopKAccuracy
from umbel.tasks.classification.prediction import ClassScores


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 8), st.integers(1, 6))
def test_equals_a_stable_sort(seed, classes, images):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randint(0, 4, (images, classes), generator=generator).float() / 4  # many ties
    targets = torch.randint(0, classes, (images,), generator=generator).tolist()
    metric = TopKAccuracy(classes)
    metric.update([ClassScores(row) for row in scores], targets)
    orders = [sorted(range(classes), key=lambda c, row=row: (-row[c], c)) for row in scores.tolist()]
    found = metric.compute()
    assert set(found) == ({"top1", "top5"} if classes >= 5 else {"top1"})
    for name, k in (("top1", 1), ("top5", 5)):
        if name in found:
            share = sum(target in order[:k] for order, target in zip(orders, targets, strict=True)) / images
            assert found[name].item() == pytest.approx(share)
    assert [ClassScores(row).label for row in scores] == [order[0] for order in orders]


def test_nan_scores_are_wrong():
    metric = TopKAccuracy(6)
    metric.update([ClassScores(torch.full((6,), float("nan")))], [0])
    assert metric.compute()["top1"].item() == 0.0
    assert metric.compute()["top5"].item() == 0.0


def test_updates_accumulate():
    metric = TopKAccuracy(2)
    for target in (0, 0, 0, 1):
        metric.update([ClassScores(torch.tensor([0.9, 0.1]))], [target])
    assert metric.compute()["top1"].item() == 0.75
