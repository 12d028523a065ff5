"""UPerNet and the auxiliary head against mmseg's numbers and against the formula written without modules."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from umbel.tasks.segmentation.model.aux_head import AuxHead
from umbel.tasks.segmentation.model.loss import pixel_cross_entropy
from umbel.tasks.segmentation.model.upernet import UPerNet

STAGES = {
    "tiny": (96, 192, 384, 768),
    "base": (128, 256, 512, 1024),
    "large": (192, 384, 768, 1536),
}


def wave(shape: tuple[int, ...], a: float, b: float, s: float = 1.0) -> Tensor:
    n = np.arange(int(np.prod(shape)), dtype=np.float64)
    return torch.from_numpy((s * np.sin(a * n + b)).astype(np.float32).reshape(shape))


def set_golden_weights(module: nn.Module) -> nn.Module:
    for conv in module.modules():
        if isinstance(conv, nn.Conv2d):
            conv.weight.data = wave(tuple(conv.weight.shape), 0.7, 0.3, 0.15)
            if conv.bias is not None:
                conv.bias.data.zero_()
    return module.eval()


def golden_features(channels, sizes):
    return [wave((1, c, *size), 0.13, 0.5 * i) for i, (c, size) in enumerate(zip(channels, sizes, strict=True))]


def assert_golden(actual: Tensor, expected: object) -> None:
    reference = np.array(expected, np.float64)
    assert actual.shape[1:] == reference.shape
    assert np.abs(actual[0].detach().double().numpy() - reference).max() <= 1e-4 * np.abs(reference).max()


def golden_labels() -> Tensor:
    labels = (torch.arange(64 * 96).view(1, 64, 96) // 37) % 6
    return labels.masked_fill(labels == 5, 255)


def test_upernet_matches_mmseg(golden):
    numbers = golden("upernet.json")
    features = golden_features(numbers["channels"], numbers["sizes"])
    logits = set_golden_weights(UPerNet(numbers["channels"], 5, 8, 0.1, "batch"))(features)
    assert_golden(logits, numbers["out"])
    assert pixel_cross_entropy(logits, golden_labels(), 255).item() == pytest.approx(numbers["ce_main"], rel=1e-5)


def test_aux_head_matches_mmseg(golden):
    numbers = golden("upernet.json")
    features = golden_features(numbers["channels"], numbers["sizes"])
    logits = set_golden_weights(AuxHead(8, 5, 6, 0.1, "batch"))(features[2])
    assert_golden(logits, numbers["aux_out"])
    assert pixel_cross_entropy(logits, golden_labels(), 255).item() == pytest.approx(numbers["ce_aux"], rel=1e-5)


@pytest.mark.parametrize("stage", STAGES)
def test_parameter_counts_match_mmseg(golden, stage):
    counts = golden("upernet.json")["param_counts"]
    with torch.device("meta"):
        main = UPerNet(STAGES[stage], 19, 512, 0.1, "batch")
        aux = AuxHead(STAGES[stage][2], 19, 256, 0.1, "batch")
    assert sum(p.numel() for p in main.parameters()) == counts[f"convnext_{stage}_uper_512_nc19"]
    assert sum(p.numel() for p in aux.parameters()) == counts[f"convnext_{stage}_auxfcn_256_nc19"]


def formula(channels, features, width, classes) -> Tensor:
    """UPerNet (Xiao et al. 2018) by formula; golden weights, the same values in every tensor of a shape."""

    def conv(x, out, kernel):
        weight = wave((out, x.shape[1], kernel, kernel), 0.7, 0.3, 0.15)
        return F.conv2d(x, weight, padding=kernel // 2)

    def module(x, out, kernel):
        return F.relu(conv(x, out, kernel) / np.sqrt(1 + 1e-5))

    def up(x, like):
        return F.interpolate(x, like.shape[-2:], mode="bilinear", align_corners=False)

    f3 = features[3]
    pools = [up(module(F.adaptive_avg_pool2d(f3, s), width, 1), f3) for s in (1, 2, 3, 6)]
    level = {3: module(torch.cat([f3, *pools], 1), width, 3)}
    for i in range(3):
        level[i] = module(features[i], width, 1)
    for i in (3, 2, 1):
        level[i - 1] = level[i - 1] + up(level[i], level[i - 1])
    outs = [module(level[i], width, 3) for i in range(3)] + [level[3]]
    return conv(module(torch.cat([up(out, outs[0]) for out in outs], 1), width, 3), classes, 1)


@pytest.mark.parametrize(
    "sizes",
    [
        [(17, 25), (9, 13), (5, 7), (3, 4)],
        [(45, 31), (22, 15), (11, 7), (5, 3)],
        [(8, 8), (4, 4), (2, 2), (1, 1)],
    ],
)
def test_upernet_follows_the_formula_at_odd_sizes(sizes):
    channels = (4, 6, 8, 10)
    features = golden_features(channels, sizes)
    expected = formula(channels, features, 8, 3)
    actual = set_golden_weights(UPerNet(channels, 3, 8, 0.1, "batch"))(features)
    assert torch.allclose(actual, expected, atol=1e-4 * expected.abs().max().item(), rtol=0)
