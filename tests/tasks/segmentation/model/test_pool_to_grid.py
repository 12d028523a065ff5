"""Pooling as exported graphs and deterministic runs do it, against torch's."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from umbel.runtime.deterministic import deterministic_kernels
from umbel.tasks.segmentation.model.blocks import _bins, pool_to_grid

SIDES, CELLS = st.integers(1, 40), st.sampled_from([1, 2, 3, 6])


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@given(SIDES, SIDES, CELLS)
def test_matrix_products_are_adaptive_pooling(height: int, width: int, cells: int) -> None:
    maps = noise(2, 3, height, width, seed=height * width)
    pooled = _bins(height, cells, maps) @ maps @ _bins(width, cells, maps).T
    torch.testing.assert_close(pooled, F.adaptive_avg_pool2d(maps, cells), atol=1e-5, rtol=1e-5)


@given(SIDES, SIDES, CELLS)
def test_the_deterministic_form_has_values_and_gradients_of_the_kernel(height: int, width: int, cells: int) -> None:
    given = noise(2, 3, height, width, seed=height * width)
    results = []
    for deterministic in (False, True):
        maps = given.clone().requires_grad_()
        with deterministic_kernels(deterministic):
            pooled = pool_to_grid(maps, cells)
            (pooled * noise(*pooled.shape)).sum().backward()
        results.append((pooled.detach(), maps.grad))
    torch.testing.assert_close(results[1], results[0], atol=1e-6, rtol=1e-6)


def names(maps: Tensor) -> set[str]:
    """Of the operators that pooling to three cells and its gradient need."""
    with torch.profiler.profile() as profile:
        pool_to_grid(maps, 3).sum().backward()
    return {event.name for event in profile.events()}


def test_only_the_mode_chooses_it() -> None:
    maps = noise(1, 2, 8, 8).requires_grad_()
    assert "aten::_adaptive_avg_pool2d_backward" in names(maps)
    with deterministic_kernels(True):
        assert "aten::_adaptive_avg_pool2d_backward" not in names(maps)


@pytest.mark.parametrize("shape", [(7, 9), (16, 32)])
def test_it_is_as_exact_in_bfloat16(shape: tuple[int, int]) -> None:
    """One rounding of the result, as the kernel's, also where autocast would round the weights."""
    maps = noise(2, 3, *shape).bfloat16()
    exact = F.adaptive_avg_pool2d(maps.float(), 3)
    with deterministic_kernels(True), torch.autocast("cpu", torch.bfloat16):
        pooled = pool_to_grid(maps, 3)
    assert pooled.dtype == torch.bfloat16
    torch.testing.assert_close(pooled.float(), exact, atol=1e-6, rtol=2**-8)
