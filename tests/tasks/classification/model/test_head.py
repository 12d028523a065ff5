"""The classification head's shape, order and training on one image."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from umbel import ConfigError, FeatureSpec

SPEC = FeatureSpec((4, 8), (16, 32))


def features(batch: int, cells: int = 2):
    return torch.randn(batch, 4, 2 * cells, 2 * cells), torch.randn(batch, 8, cells, cells)


@pytest.mark.parametrize("batch", [1, 3])
def test_every_parameter_trains_at_any_batch_size(make_classification, batch):
    task = make_classification({"batch_size": batch})
    head = task.head(SPEC).train()
    logits = head(features(batch))
    assert logits.shape == (batch, 6)
    task.loss(logits, torch.randint(0, 6, (batch,))).total.backward()
    for name, parameter in head.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


def test_head_is_conv_norm_relu_attention_mean_linear(make_classification):
    head = make_classification(mid_channels=12).head(SPEC).eval()
    x = features(2, 5)
    normed = F.conv2d(x[-1], head.conv[0].weight, padding=1) / (1 + 1e-5) ** 0.5
    pooled = head.attention(normed.relu()).mean((2, 3))
    assert pooled.shape == (2, 12)
    assert torch.allclose(head(x), F.linear(pooled, head.classifier.weight, head.classifier.bias), atol=1e-5)


def test_width_defaults_to_the_coarsest_level(make_classification):
    assert make_classification().head(SPEC).conv[0].weight.shape == (8, 8, 3, 3)


def test_a_single_value_a_channel_is_refused_before_training(make_classification):
    task = make_classification({"batch_size": 1, "input_size": (32, 32)})
    with pytest.raises(ConfigError, match="batch_size 1 with input_size 32 x 32"):
        task.head(SPEC)
    make_classification({"batch_size": 2, "input_size": (32, 32)}).head(SPEC)
