"""Label-smoothed cross-entropy in both conventions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from umbel.tasks.classification.model.loss import smoothed_cross_entropy


@pytest.mark.parametrize("rule", ["torch", "organisers"])
@pytest.mark.parametrize("smoothing", ["0.0", "0.1"])
def test_golden_values(golden, rule, smoothing):
    numbers = golden("cls_ce.json")
    logits = torch.from_numpy((2 * np.sin(0.7 * np.arange(24, dtype=np.float64) + 0.2)).astype(np.float32)).view(4, 6)
    loss = smoothed_cross_entropy(logits, torch.tensor(numbers["labels"]), float(smoothing), rule)
    assert loss.item() == pytest.approx(numbers[rule][smoothing], rel=1e-5)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 7), st.integers(1, 4), st.floats(0, 0.9), st.booleans())
def test_equals_the_sum_over_smoothed_targets(seed, classes, batch, smoothing, organisers):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(batch, classes, generator=generator) * 3
    labels = torch.randint(0, classes, (batch,), generator=generator)
    total = 0.0
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        log_sum = math.log(sum(math.exp(value) for value in row))
        for c, value in enumerate(row):
            if organisers:
                target = 1 - smoothing if c == label else smoothing / (classes - 1)
            else:
                target = smoothing / classes + (1 - smoothing if c == label else 0)
            total -= target * (value - log_sum)
    found = smoothed_cross_entropy(logits, labels, smoothing, "organisers" if organisers else "torch")
    assert found.item() == pytest.approx(total / batch, rel=1e-4, abs=1e-5)


def test_torch_rule_is_torchs():
    logits, labels = torch.randn(5, 4), torch.randint(0, 4, (5,))
    expected = torch.nn.functional.cross_entropy(logits, labels, label_smoothing=0.2)
    assert torch.allclose(smoothed_cross_entropy(logits, labels, 0.2, "torch"), expected)


def test_half_precision_and_a_single_class():
    assert smoothed_cross_entropy(torch.randn(2, 1).bfloat16(), torch.zeros(2), 0.1, "organisers").item() == 0.0
    assert smoothed_cross_entropy(torch.randn(2, 3).bfloat16(), torch.zeros(2), 0.1, "torch").dtype == torch.float32
