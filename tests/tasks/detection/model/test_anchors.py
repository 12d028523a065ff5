from __future__ import annotations

import numpy as np
import pytest

from umbel import DataError
from umbel.tasks.detection.model.anchors import COCO_ANCHORS, anchor_fit, fit_anchors, side_ratios


def test_fit_equals_the_reference(golden):
    content = golden("yolo_anchor_metric.json")
    sizes, anchors = np.array(content["wh"]), np.array(content["anchors"])
    fit = anchor_fit(sizes, anchors)
    assert (fit.recall, fit.per_label, fit.fitness) == pytest.approx(
        (content["bpr"], content["aat"], content["fitness"]), rel=1e-5
    )
    assert side_ratios(sizes, anchors).max(axis=1) == pytest.approx(content["best"], rel=1e-5)
    assert np.array_equal(anchors, np.array(COCO_ANCHORS))


def test_fitted_anchors_suit_the_labels_better_and_follow_the_seed():
    sizes = np.exp(np.random.default_rng(0).normal([3.5, 3.6], 0.5, (400, 2)))
    found = [fit_anchors(sizes, np.random.default_rng(seed), generations=60) for seed in (1, 1, 2)]
    assert found[0].shape == (9, 2)
    assert np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])
    assert (np.diff(found[0].prod(axis=1)) > 0).all()
    assert anchor_fit(sizes, found[0]).fitness > anchor_fit(sizes, np.array(COCO_ANCHORS)).fitness + 0.05


def test_too_few_sizes_are_refused():
    with pytest.raises(DataError, match=r"20 labels .* fewer than 9 distinct"):
        fit_anchors(np.full((20, 2), 30.0), np.random.default_rng(0))
