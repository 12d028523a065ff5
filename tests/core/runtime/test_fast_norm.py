"""Norms of timm in bf16: where, how far from fp32's, and the same bits without autocast."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest
import torch
from timm.layers import LayerNorm, LayerNorm2d, is_fast_norm
from torch import Tensor, nn

from umbel.runtime.fast_norm import make_norms_fast, wants_fast_norms

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def pair(kind: type[nn.LayerNorm]) -> tuple[nn.Module, nn.Module]:
    """A layer made for bf16 and one as it comes, with the same weights."""
    fast, plain = kind(64), kind(64)
    make_norms_fast(fast)
    assert (fast._fast_norm, plain._fast_norm) == (True, is_fast_norm())
    with torch.no_grad():
        fast.weight.normal_(1, 0.2, generator=torch.Generator().manual_seed(0))
        fast.bias.normal_(0, 0.2, generator=torch.Generator().manual_seed(1))
    plain.load_state_dict(fast.state_dict())
    return fast, plain


def features(kind: type[nn.LayerNorm]) -> Tensor:
    shape = (2, 64, 8, 8) if kind is LayerNorm2d else (2, 8, 8, 64)
    return 3 * torch.randn(shape, generator=torch.Generator().manual_seed(2)) + 1


@pytest.mark.parametrize(
    ("device", "precision", "expected"), [(CUDA, "bf16", True), (CUDA, "fp32", False), (CPU, "bf16", False)]
)
def test_on_a_gpu_in_bf16(device: torch.device, precision: str, expected: bool) -> None:
    assert wants_fast_norms(device, precision) is expected


def test_not_where_apex_would_take_over(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("apex")
    module.__spec__ = torch.__spec__
    monkeypatch.setitem(sys.modules, "apex", module)
    assert not wants_fast_norms(CUDA, "bf16")


@pytest.mark.parametrize("kind", [LayerNorm, LayerNorm2d])
def test_the_same_bits_without_autocast(kind: type[nn.LayerNorm]) -> None:
    fast, plain = pair(kind)
    assert torch.equal(fast(features(kind)), plain(features(kind)))


@pytest.mark.parametrize("kind", [LayerNorm, LayerNorm2d])
def test_bf16_under_autocast_within_its_rounding(kind: type[nn.LayerNorm]) -> None:
    fast, plain = pair(kind)
    x = features(kind).bfloat16()
    exact = plain(x.float()).detach()
    with torch.autocast("cpu", torch.bfloat16):
        found = fast(x).detach()
    assert found.dtype == torch.bfloat16
    assert float((found.float() - exact).norm() / exact.norm()) < 2**-8
