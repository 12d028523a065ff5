"""Anchor boxes: the COCO set, how well a set fits labels, and fitting a new one, as YOLOv5 7.0.

Legend: T labels, K anchors; sizes are width, height in pixels of the network input, after augmentation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from umbel import DataError

COCO_ANCHORS = (
    (10.0, 13.0), (16.0, 30.0), (33.0, 23.0),
    (30.0, 61.0), (62.0, 45.0), (59.0, 119.0),
    (116.0, 90.0), (156.0, 198.0), (373.0, 326.0),
)  # fmt: skip


@dataclass(frozen=True)
class AnchorFit:
    """How well anchors fit labels.

    Args:
        recall: share of labels with an anchor within the threshold; fit new anchors when it is 0.98 or less.
        per_label: mean number of anchors within the threshold.
        fitness: mean ratio of the best anchor, where it is within the threshold.
    """

    recall: float
    per_label: float
    fitness: float


def side_ratios(sizes_T2: np.ndarray, anchors_K2: np.ndarray) -> np.ndarray:
    """(T, K) worse of the two side ratios, each taken as smaller over larger."""
    ratio = sizes_T2[:, None] / anchors_K2[None]
    worse: np.ndarray = np.minimum(ratio, 1 / ratio).min(axis=2)
    return worse


def anchor_fit(sizes_T2: np.ndarray, anchors_K2: np.ndarray, threshold: float = 4.0) -> AnchorFit:
    """Fit of anchors to label sizes; `threshold` is the largest ratio of sides that still matches (`anchor_t`)."""
    ratios = side_ratios(sizes_T2, anchors_K2)
    best = ratios.max(axis=1)
    matched = best > 1 / threshold
    return AnchorFit(
        float(matched.mean()), float((ratios > 1 / threshold).sum(axis=1).mean()), float((best * matched).mean())
    )


def fit_anchors(
    sizes_T2: np.ndarray,
    rng: np.random.Generator,
    count: int = 9,
    threshold: float = 4.0,
    generations: int = 1000,
) -> np.ndarray:
    """Anchors for label sizes: k-means, then random mutations that are kept when they fit better.

    Args:
        sizes_T2: width and height of the labels; those below 2 pixels on both sides are left out.
        rng: where every random choice comes from.

    Returns:
        (count, 2) sorted by area, 2 pixels or more.

    Raises:
        DataError: there are fewer distinct sizes than anchors.
    """
    from scipy.cluster.vq import kmeans

    sizes = np.asarray(sizes_T2, dtype=np.float64)
    sizes = sizes[(sizes >= 2).any(axis=1)]
    if len(np.unique(sizes, axis=0)) < count:
        raise DataError(
            f"{len(sizes)} labels of 2 pixels or more have fewer than {count} distinct sizes",
            hint="keep the default anchors",
        )
    spread = np.maximum(sizes.std(axis=0), 1e-9)
    anchors = kmeans(sizes / spread, count, iter=30, seed=rng)[0] * spread
    if len(anchors) < count:  # k-means drops clusters that ran empty
        anchors = np.concatenate((anchors, rng.choice(sizes, count - len(anchors), replace=False)))
    anchors = np.maximum(anchors, 2.0)
    best = anchor_fit(sizes, anchors, threshold).fitness
    for _ in range(generations):
        child = np.maximum(anchors * _mutation(anchors.shape, rng), 2.0)
        fitness = anchor_fit(sizes, child, threshold).fitness
        if fitness > best:
            anchors, best = child, fitness
    ordered: np.ndarray = anchors[np.argsort(anchors.prod(axis=1))]
    return ordered


def _mutation(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Factors around 1, nine in ten of them changed, at least one."""
    factors = np.ones(shape)
    while (factors == 1).all():
        changed = rng.random(shape) < 0.9
        factors = (changed * rng.random() * rng.standard_normal(shape) * 0.1 + 1).clip(0.3, 3.0)
    return factors
