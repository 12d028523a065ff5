"""CBAM against the reference implementation's numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from umbel.tasks.classification.model.cbam import Cbam, ChannelAttention


def wave(shape: tuple[int, ...], a: float, b: float, s: float = 1.0) -> torch.Tensor:
    n = np.arange(int(np.prod(shape)), dtype=np.float64)
    return torch.from_numpy((s * np.sin(a * n + b)).astype(np.float32).reshape(shape))


@pytest.fixture
def module() -> Cbam:
    cbam = Cbam(32, 16).eval()
    for parameter in cbam.parameters():
        if parameter.ndim > 1:
            parameter.data = wave(tuple(parameter.shape), 0.7, 0.3, 0.3)
    for linear in cbam.modules():
        if isinstance(linear, torch.nn.Linear):
            linear.bias.data = wave(tuple(linear.bias.shape), 0.9, 0.1, 0.1)
    return cbam


def test_golden_values(golden, module):
    numbers = golden("cbam.json")
    x = wave((2, 32, 3, 4), 0.17, 0.2)
    with torch.no_grad():
        stages = {"after_channel": module[0](x), "out": module(x)}
    for name, found in stages.items():
        expected = np.array(numbers[name])
        assert np.abs(found.numpy() - expected).max() <= 1e-4 * np.abs(expected).max(), name


@pytest.mark.parametrize("channels", [64, 256, 512, 768, 1024, 1536])
def test_parameter_counts(golden, channels):
    counts = golden("cbam.json")["param_counts"]
    assert sum(p.numel() for p in Cbam(channels, 16).parameters()) == counts[f"C{channels}_r16"]


def test_channel_attention_alone_has_the_reference_count(golden):
    expected = golden("cbam.json")["param_counts"]["C512_r16_no_spatial"]
    assert sum(p.numel() for p in ChannelAttention(512, 16).parameters()) == expected


def test_fewer_channels_than_the_reduction_still_work():
    assert Cbam(4, 16)(torch.randn(2, 4, 3, 3)).shape == (2, 4, 3, 3)
