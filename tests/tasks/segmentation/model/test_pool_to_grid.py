"""Pooling as exported graphs do it, against torch's."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from umbel.tasks.segmentation.model.blocks import _bins


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 2, 3, 6]))
def test_matrix_products_are_adaptive_pooling(height: int, width: int, cells: int) -> None:
    maps = torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(height * width))
    pooled = _bins(height, cells, maps) @ maps @ _bins(width, cells, maps).T
    torch.testing.assert_close(pooled, F.adaptive_avg_pool2d(maps, cells), atol=1e-5, rtol=1e-5)
