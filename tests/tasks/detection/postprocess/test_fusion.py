"""Compiled weighted boxes fusion against ensemble-boxes, ties and rounding included."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from umbel.tasks.detection.options import CONF_TYPES
from umbel.tasks.detection.postprocess.fusion import _fuse_class, _kernel, fuse, fuse_by_ensemble_boxes


def crowd(seed: int, counts: list[int], classes: int, decimals: int):
    """Boxes that overlap a lot; few decimals make equal scores and equal boxes."""
    rng = np.random.default_rng(seed)
    total = sum(counts)
    low = np.round(rng.uniform(0, 0.6, (total, 2)), decimals)
    high = np.minimum(low + np.round(rng.uniform(0.1, 0.4, (total, 2)), decimals) + 10.0**-decimals, 1)
    scores = np.round(rng.uniform(0.01, 1, total), decimals) + 10.0**-decimals
    views = np.repeat(np.arange(len(counts)), counts)
    return np.hstack((low, high)), scores, rng.integers(0, classes, total), views


@settings(max_examples=150, deadline=None)
@example(135, [0, 9], 1, 1, "max", 0.5, True)  # two scores that differ in the eighth digit
@given(
    st.integers(0, 2**31 - 1),
    st.lists(st.integers(0, 25), min_size=1, max_size=6),
    st.integers(1, 4),
    st.integers(1, 9),
    st.sampled_from(CONF_TYPES),
    st.floats(0.05, 0.95),
    st.booleans(),
)
def test_equals_ensemble_boxes(seed, counts, classes, decimals, conf_type, iou, weighted):
    boxes, scores, labels, views = crowd(seed, counts, classes, decimals)
    weights = np.random.default_rng(seed).uniform(0.5, 3, len(counts)) if weighted else np.ones(len(counts))
    found = fuse(boxes, scores, labels, views, weights_V=weights, iou=iou, conf_type=conf_type)
    expected = fuse_by_ensemble_boxes(boxes, scores, labels, views, weights_V=weights, iou=iou, conf_type=conf_type)
    assert [len(part) for part in found] == [len(part) for part in expected]
    np.testing.assert_allclose(found[1], expected[1], rtol=0, atol=1e-6)
    ours, theirs = (np.column_stack((s, b, k)) for b, s, k in (found, expected))  # those of one score in any order
    apart = np.abs(ours[:, None] - theirs[None]).max(axis=2, initial=0)
    assert apart[linear_sum_assignment(apart)].max(initial=0) <= 2e-5


@pytest.mark.parametrize("conf_type", CONF_TYPES)
def test_compiled_equals_interpreted(conf_type):
    boxes, scores, _, views = crowd(5, [40, 30, 20], 1, 3)
    order = scores.argsort()[::-1]
    arguments = (
        boxes[order],
        scores[order],
        views[order],
        np.array([1.0, 2.0, 0.5]),
        0.55,
        CONF_TYPES.index(conf_type),
    )
    np.testing.assert_allclose(_kernel()(*arguments), _fuse_class(*arguments), rtol=0, atol=1e-12)


def test_nothing_to_fuse():
    empty = fuse(
        np.zeros((0, 4)),
        np.zeros(0),
        np.zeros(0, np.int64),
        np.zeros(0, np.int64),
        weights_V=np.ones(3),
        iou=0.5,
        conf_type="avg",
    )
    assert [part.shape for part in empty] == [(0, 4), (0,), (0,)]
