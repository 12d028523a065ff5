"""Pixel cross-entropy against loops and torch, and at its edges."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from umbel.tasks.segmentation.model.loss import pixel_cross_entropy, segmentation_loss

FEW = settings(max_examples=30, deadline=None)


def naive(logits, labels, ignore, weights):
    """Weighted mean over labelled pixels, one pixel at a time in Python floats."""
    total = norm = 0.0
    for b in range(labels.shape[0]):
        for y in range(labels.shape[1]):
            for x in range(labels.shape[2]):
                label = int(labels[b, y, x])
                if label == ignore:
                    continue
                pixel = logits[b, :, y, x].tolist()
                log_sum = math.log(sum(math.exp(value) for value in pixel))
                total += weights[label] * (log_sum - pixel[label])
                norm += weights[label]
    return total / norm if norm else 0.0


@FEW
@given(
    st.integers(0, 2**31), st.integers(1, 4), st.integers(1, 2), st.sampled_from([255, 0, 7]), st.booleans(), st.data()
)
def test_cross_entropy_equals_the_loop(seed, classes, batch, ignore, weighted, data):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(batch, classes, 3, 4, generator=generator)
    labels = torch.randint(0, classes, (batch, 3, 4), generator=generator, dtype=torch.uint8)
    labels[torch.rand(labels.shape, generator=generator) < 0.3] = ignore
    weights = (
        data.draw(st.lists(st.floats(0.1, 5), min_size=classes, max_size=classes)) if weighted else [1.0] * classes
    )
    tensor = torch.tensor(weights) if weighted else None
    loss = pixel_cross_entropy(logits, labels, ignore, tensor)
    assert loss.item() == pytest.approx(naive(logits, labels, ignore, weights), rel=1e-4, abs=1e-6)


def test_logits_are_upsampled_bilinearly_without_aligned_corners():
    logits = torch.randn(2, 5, 6, 7)
    labels = torch.randint(0, 5, (2, 24, 28))
    upsampled = F.interpolate(logits, (24, 28), mode="bilinear", align_corners=False)
    assert torch.allclose(pixel_cross_entropy(logits, labels, 255), F.cross_entropy(upsampled, labels))


@pytest.mark.parametrize("weights", [None, [0.5, 2.0, 1.0]])
def test_all_ignored_labels_give_a_finite_zero_with_gradient(weights):
    logits = torch.randn(2, 3, 4, 4, requires_grad=True)
    labels = torch.full((2, 8, 8), 255, dtype=torch.uint8)
    tensor = None if weights is None else torch.tensor(weights)
    losses = segmentation_loss((logits, logits * 2), labels, 255, 0.4, tensor)
    losses.total.backward()
    assert losses.total.item() == 0.0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


def test_weight_zero_for_every_labelled_class_gives_zero():
    labels = torch.zeros(1, 4, 4, dtype=torch.uint8)
    assert pixel_cross_entropy(torch.randn(1, 2, 4, 4), labels, 255, torch.tensor([0.0, 1.0])).item() == 0.0


def test_auxiliary_loss_enters_with_its_weight():
    main, aux = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 2, 2)
    labels = torch.randint(0, 3, (2, 8, 8))
    losses = segmentation_loss((main, aux), labels, 255, 0.4)
    expected = pixel_cross_entropy(main, labels, 255) + 0.4 * pixel_cross_entropy(aux, labels, 255)
    assert losses.total.item() == pytest.approx(expected.item(), rel=1e-6)
    assert set(losses.parts) == {"main", "aux"}
    assert segmentation_loss(main, labels, 255, 0.4).total.item() == pytest.approx(losses.parts["main"].item())


def test_half_precision_logits_are_summed_in_float32():
    logits = torch.randn(1, 3, 16, 16).bfloat16()
    labels = torch.randint(0, 3, (1, 64, 64))
    loss = pixel_cross_entropy(logits, labels, 255)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, pixel_cross_entropy(logits.float(), labels, 255))


@FEW
@given(st.integers(0, 2**31), st.booleans())
def test_adding_up_every_pixel_is_the_sum_of_the_kernel(seed, weighted):
    """Values and gradients; the kernel that adds up by itself does not repeat on a GPU."""
    generator = torch.Generator().manual_seed(seed)
    given_logits = torch.randn(2, 3, 8, 10, generator=generator)
    labels = torch.randint(0, 3, (2, 8, 10), generator=generator)
    labels[torch.rand(labels.shape, generator=generator) < 0.3] = 255
    weights = torch.tensor([0.5, 2.0, 1.0]) if weighted else None
    one, other = (given_logits.clone().requires_grad_() for _ in range(2))
    loss = pixel_cross_entropy(one, labels, 255, weights)
    expected = F.cross_entropy(other, labels, weights, ignore_index=255)
    loss.backward()
    expected.backward()
    torch.testing.assert_close(loss, expected, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(one.grad, other.grad, atol=1e-6, rtol=1e-6)
