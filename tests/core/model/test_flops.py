"""Counted operations against formulas written down by hand, and against a published figure."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from torch.utils.checkpoint import checkpoint

from umbel.contract.backbone import Backbone
from umbel.contract.types import FeatureSpec
from umbel.model.flops import TaskFlops, flop_counter, pass_flops
from umbel.model.model import MultiTaskModel

BATCH, SIDE = 2, 32
STEM = 2 * BATCH * 16 * 8 * 8 * 3 * 4 * 4  # 4 x 4 convolution of stride 4, 3 to 16 channels
DEPTHWISE = 2 * BATCH * 16 * 8 * 8 * 3 * 3  # 3 x 3, each channel by itself
POINTWISE = 2 * BATCH * 8 * 8 * 16 * 24
LINEAR = 2 * BATCH * 24 * 5


class Small(Backbone):
    """Stem, depthwise and pointwise convolution; the last two may be recomputed in the backward."""

    def __init__(self, recomputes: bool = False) -> None:
        super().__init__()
        self.spec = FeatureSpec((24,), (4,))
        self.mean = self.std = (0.5, 0.5, 0.5)
        self.stem = nn.Conv2d(3, 16, 4, 4)
        self.block = nn.Sequential(nn.Conv2d(16, 16, 3, padding=1, groups=16), nn.GELU(), nn.Conv2d(16, 24, 1))
        self.recomputes = recomputes

    def forward(self, images: Tensor, task: str) -> tuple[Tensor, ...]:
        stem = self.stem(images)
        return (checkpoint(self.block, stem, use_reentrant=False) if self.recomputes else self.block(stem),)


class Head(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(24, 5)

    def forward(self, features: tuple[Tensor, ...]) -> Tensor:
        out: Tensor = self.linear(features[0].mean((2, 3)))
        return out


def counted(backbone: Backbone, head: nn.Module, *frozen: nn.Module) -> TaskFlops:
    model = MultiTaskModel(backbone, {"a": head}).train()
    model.freeze(frozen)
    return pass_flops(model, "a", torch.zeros(BATCH, 3, SIDE, SIDE, dtype=torch.uint8))


def test_small_model_by_hand() -> None:
    flops = counted(Small(), Head())
    assert flops.backbone_forward == STEM + DEPTHWISE + POINTWISE
    assert flops.backbone_backward == STEM + 2 * (DEPTHWISE + POINTWISE)  # images need no gradient
    assert (flops.head_forward, flops.head_backward) == (LINEAR, 2 * LINEAR)
    assert flops.total == 2 * STEM + 3 * (DEPTHWISE + POINTWISE + LINEAR)
    assert flops.times(3) == TaskFlops(
        "a", 3 * flops.backbone_forward, 3 * flops.backbone_backward, 3 * LINEAR, 6 * LINEAR
    )


def test_recomputation_counts_in_the_backward() -> None:
    plain, recomputed = counted(Small(), Head()), counted(Small(recomputes=True), Head())
    assert recomputed.backbone_forward == plain.backbone_forward
    again = recomputed.backbone_backward - plain.backbone_backward
    assert again in (DEPTHWISE, DEPTHWISE + POINTWISE)  # torch may stop at the last tensor that the backward needs


def test_frozen_parts_have_no_backward() -> None:
    backbone, head = Small(), Head()
    flops = counted(backbone, head, backbone)
    assert (flops.backbone_backward, flops.head_backward) == (0, LINEAR)  # of the head, the weight's gradient alone
    stem_frozen = Small()
    assert counted(stem_frozen, Head(), stem_frozen.stem).backbone_backward == DEPTHWISE + 2 * POINTWISE
    backbone, head = Small(), Head()
    flops = counted(backbone, head, head)
    assert (flops.head_backward, flops.backbone_backward) == (LINEAR, STEM + 2 * (DEPTHWISE + POINTWISE))
    backbone, head = Small(), Head()
    flops = counted(backbone, head, backbone, head)
    assert (flops.backbone_backward, flops.head_backward) == (0, 0)


@pytest.mark.parametrize("transposed", [False, True])
def test_backward_of_grouped_convolutions(transposed: bool) -> None:
    made = nn.ConvTranspose2d if transposed else nn.Conv2d
    layer = made(8, 12, 3, padding=1, groups=4)
    images = torch.zeros(2, 8, 10, 10, requires_grad=True)
    with flop_counter() as counter:
        out = layer(images)
        forward = counter.get_total_flops()
        out.sum().backward()
    assert forward == 2 * 2 * 10 * 10 * 8 * 12 // 4 * 9
    assert counter.get_total_flops() == 3 * forward


def test_attention_on_a_cpu() -> None:
    query = torch.zeros(2, 3, 16, 8, requires_grad=True)
    with flop_counter() as counter:
        out = scaled_dot_product_attention(query, query, query)
        forward = counter.get_total_flops()
        out.sum().backward()
    product = 2 * (2 * 3) * 16 * 16 * 8
    assert forward == 2 * product
    assert counter.get_total_flops() - forward == 5 * product  # four gradients, and the scores again


def test_convnext_large_as_published() -> None:
    """34.4 G multiply-adds at 224 x 224: Liu et al., A ConvNet for the 2020s, table 1."""
    timm = pytest.importorskip("timm")
    with torch.device("meta"), torch.no_grad(), flop_counter() as counter:
        timm.create_model("convnext_large")(torch.empty(1, 3, 224, 224))
    assert counter.get_total_flops() / 2e9 == pytest.approx(34.4, abs=0.05)
