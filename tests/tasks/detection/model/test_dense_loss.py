"""The loss without a shape that depends on a value equals the plain one, values and gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from sparse_detection_loss import sparse_detection_loss, sparse_matches
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from umbel.tasks.detection.model.anchors import COCO_ANCHORS
from umbel.tasks.detection.model.assign import match
from umbel.tasks.detection.model.loss import Gains, detection_loss

ANCHORS = torch.tensor(COCO_ANCHORS).view(3, 3, 2)
IMAGES, GRIDS = 3, ((8, 12), (4, 6), (2, 3))
TOLERANCE = 1e-6

border = st.integers(0, 48).map(lambda v: v / 48)  # cell borders, their middles and the edges of the image
anywhere = st.integers(0, 10**6).map(lambda v: v / 10**6)
side = st.one_of(st.integers(1, 48).map(lambda v: v / 48), st.integers(100, 10**6).map(lambda v: v / 10**6))


@st.composite
def labels(draw: st.DrawFn, classes: int) -> Tensor:
    """None, a few or many labels, doubles among them."""
    place = st.one_of(border, anywhere)
    row = st.tuples(st.integers(0, IMAGES - 1), st.integers(0, classes - 1), place, place, side, side)
    rows = draw(st.lists(row, max_size=draw(st.sampled_from([0, 1, 4, 40]))))
    if rows:
        rows += [
            (*twin[:1], draw(st.integers(0, classes - 1)), *twin[2:])
            for twin in draw(st.lists(st.sampled_from(rows), max_size=4))
        ]
    return torch.tensor(rows, dtype=torch.float32).view(-1, 6)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    st.data(),
    st.integers(0, 2**31 - 1),
    st.sampled_from([1, 2, 5]),
    st.sampled_from([0.5, 3.0]),
    st.sampled_from([0.0, 0.1, 0.5]),
    st.sampled_from([1.5, 2.91, 4.0, 30.0]),
    st.sampled_from(["iou", "giou", "diou", "ciou"]),
    st.sampled_from([Gains(), Gains(1.0, 0.3, 2.0), Gains(0.05, 0.0, 0.0)]),
)
def test_dense_equals_sparse(data, seed, classes, scale, smoothing, anchor_t, iou_kind, gains) -> None:
    generator = torch.Generator().manual_seed(seed)
    rows = data.draw(labels(classes))
    shapes = [(IMAGES, 3, *grid, 5 + classes) for grid in GRIDS]
    maps = [scale * torch.randn(shape, generator=generator) for shape in shapes]
    options = {"label_smoothing": smoothing, "anchor_t": anchor_t, "iou_kind": iou_kind}

    ours = [x.clone().requires_grad_() for x in maps]
    found = detection_loss(ours, rows, ANCHORS, gains, **options)
    found.total.backward()
    plain = [x.clone().requires_grad_() for x in maps]
    expected = sparse_detection_loss(plain, rows, ANCHORS, gains, **options)
    expected["total"].backward()

    event("labels that match" if expected["box"] > 0 else "no match")
    for name, value in {"total": found.total, **found.parts}.items():
        assert value.item() == pytest.approx(expected[name].item(), rel=TOLERANCE, abs=TOLERANCE), name
    for one, other in zip(ours, plain, strict=True):
        assert (one.grad - other.grad).abs().max() <= TOLERANCE * other.grad.abs().max().clamp(min=1)
        assert torch.equal(one.grad != 0, other.grad != 0)  # the same cells and fields learn


def test_cells_without_a_match_do_not_matter_whatever_they_hold() -> None:
    rows = torch.tensor([[0, 1, 0.52, 0.52, 0.3, 0.3], [2, 0, 0.3, 0.7, 0.4, 0.2]])
    options = {"label_smoothing": 0.1, "anchor_t": 4.0, "iou_kind": "ciou"}
    maps = []
    for grid, anchors, stride in zip(GRIDS, ANCHORS, (8, 16, 32), strict=True):
        level = torch.full((IMAGES, 3, *grid, 7), float("nan"))
        level[..., 4] = 0.5
        level[sparse_matches(rows, grid, anchors / stride, 4.0).cells] = 0.5
        maps.append(level.requires_grad_())
    found = detection_loss(maps, rows, ANCHORS, Gains(), **options)
    found.total.backward()
    assert found.total.item() == pytest.approx(
        sparse_detection_loss(maps, rows, ANCHORS, Gains(), **options)["total"].item()
    )
    assert all(level.grad.isfinite().all() for level in maps)


@settings(max_examples=60, deadline=None)
@given(labels(4), st.sampled_from([1.5, 4.0]))
def test_candidates_that_count_are_the_matches_in_order(rows: Tensor, threshold: float) -> None:
    sizes = torch.tensor([[1.0, 1.5], [2.0, 4.0], [4.0, 3.0]])
    found = match(rows, (8, 12), sizes, threshold)
    expected = sparse_matches(rows, (8, 12), sizes, threshold)
    assert len(found.matched_C) == 5 * 3 * len(rows)
    cells = torch.unravel_index(found.cell_C, (IMAGES, 3, 8, 12))
    for ours, plain in zip((*cells, found.class_C), (*expected.cells, expected.classes_M), strict=True):
        assert torch.equal(ours[found.matched_C], plain)
    assert torch.equal(found.boxes_C4[found.matched_C], expected.boxes_M4)
    assert torch.equal(found.anchors_C2[found.matched_C], expected.anchors_M2)


class Waits(TorchDispatchMode):
    """Names of the operators for whose result's shape or value a host has to wait, and of copies to a device."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func._schema.name
        indices = args[1] if name.startswith("aten::index") and isinstance(args[1], (list, tuple)) else []
        by_mask = any(index is not None and index.dtype == torch.bool for index in indices)
        if by_mask or name in ("aten::nonzero", "aten::masked_select", "aten::_local_scalar_dense", "aten::lift_fresh"):
            self.seen.append(name)
        return func(*args, **(kwargs or {}))


def operators_that_wait(loss: Callable[..., Any], total: Callable[[Any], Tensor]) -> list[str]:
    maps = [torch.zeros((IMAGES, 3, *grid, 7)).requires_grad_() for grid in GRIDS]
    rows = torch.tensor([[0, 1, 0.5, 0.5, 0.5, 0.5], [2, 0, 0.3, 0.7, 0.4, 0.2]])
    with Waits() as waits:
        total(loss(maps, rows, ANCHORS, Gains(), label_smoothing=0.1, anchor_t=4.0, iou_kind="ciou")).backward()
    return waits.seen


def test_no_operator_makes_the_host_wait() -> None:
    plain = operators_that_wait(sparse_detection_loss, lambda losses: losses["total"])
    assert {"aten::nonzero", "aten::lift_fresh"} <= set(plain)  # what is counted is there to be counted
    assert operators_that_wait(detection_loss, lambda losses: losses.total) == []
