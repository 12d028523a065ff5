"""Weighted boxes fusion, compiled: the numbers of ensemble-boxes, rounding included, without its loops in Python.

N boxes of V views are fused to C clusters.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

Ints = NDArray[np.int64]

_MODES = {"avg": 0, "max": 1, "box_and_model_avg": 2, "absent_model_aware_avg": 3}


def fuse(
    boxes_N4: Floats, scores_N: Floats, classes_N: Ints, views_N: Ints, *, weights_V: Floats, iou: float, conf_type: str
) -> tuple[Floats, Floats, Ints]:
    """Clusters of overlapping boxes of a class (Solovyev et al. 2021).

    Args:
        boxes_N4: x1, y1, x2, y2 in 0..1, each with an area.
        scores_N: raw scores, in the order of the views.
        classes_N: class ids.
        views_N: which view a box is of.
        weights_V: weight of each view.
        iou: overlap above which boxes of a class are fused.
        conf_type: how the scores of a cluster become one.

    Returns:
        boxes (C, 4), scores (C,) and classes (C,), best first.
    """
    fused = []
    weighted_N = scores_N * weights_V[views_N]
    for label in dict.fromkeys(classes_N.tolist()):  # in order of appearance, as the reference
        own = np.flatnonzero(classes_N == label)
        own = own[weighted_N[own].argsort()[::-1]]
        clusters_C5 = _kernel()(boxes_N4[own], weighted_N[own], views_N[own], weights_V, iou, _MODES[conf_type])
        fused.append((clusters_C5, np.full(len(clusters_C5), label, np.int64)))
    if not fused:
        return np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64)
    clusters_C5 = np.concatenate([clusters for clusters, _ in fused])
    order = clusters_C5[:, 4].argsort()[::-1]
    return clusters_C5[order, :4], clusters_C5[order, 4], np.concatenate([labels for _, labels in fused])[order]


@cache
def _kernel() -> Callable[[Floats, Floats, Ints, Floats, float, int], Floats]:
    """Compiled on first use; kept on disk where that is allowed."""
    import numba

    try:
        compiled: Callable[[Floats, Floats, Ints, Floats, float, int], Floats] = numba.njit(
            cache=True, error_model="numpy"
        )(_fuse_class)
    except RuntimeError:  # neither the package's folder nor the user's cache can be written
        compiled = numba.njit(error_model="numpy")(_fuse_class)
    return compiled


def _fuse_class(  # noqa: PLR0917  numba compiles no keyword-only argument
    boxes_N4: Floats, scores_N: Floats, views_N: Ints, weights_V: Floats, iou: float, mode: int
) -> Floats:
    """Boxes of one class, best first, as clusters (C, 5) of x1, y1, x2, y2, score."""
    count = len(scores_N)
    fused_4N, fused_scores = np.empty((4, count)), np.empty(count)
    areas, overlaps = np.empty(count), np.empty(count)
    sums = np.zeros((count, 4), np.float32)  # as the reference, which adds in single precision
    scores, weights, sizes = np.zeros(count), np.zeros(count), np.zeros(count, np.int64)
    members = np.zeros((count, len(weights_V)), np.bool_)
    clusters = 0
    for box in range(count):
        x1, y1, x2, y2 = boxes_N4[box]
        area = (x2 - x1) * (y2 - y1)
        for cluster in range(clusters):  # without branches, so that it runs on vectors
            width = max(min(x2, fused_4N[2, cluster]) - max(x1, fused_4N[0, cluster]), 0.0)
            height = max(min(y2, fused_4N[3, cluster]) - max(y1, fused_4N[1, cluster]), 0.0)
            overlaps[cluster] = width * height / (areas[cluster] + area - width * height)
        best, found = iou, -1
        for cluster in range(clusters):
            if overlaps[cluster] > best:
                best, found = overlaps[cluster], cluster
        cluster = found
        if cluster < 0:
            cluster = clusters
            clusters += 1
            fused_4N[:, cluster] = boxes_N4[box]
            fused_scores[cluster] = scores_N[box]
        scores[cluster] += scores_N[box]
        weights[cluster] += weights_V[views_N[box]]
        sizes[cluster] += 1
        members[cluster, views_N[box]] = True
        for side in range(4):
            sums[cluster, side] = np.float32(np.float64(sums[cluster, side]) + scores_N[box] * boxes_N4[box, side])
            if found >= 0:
                fused_4N[side, cluster] = np.float32(np.float64(sums[cluster, side]) / scores[cluster])
        if found >= 0 and mode != 1:  # boxes come best first: the maximum is the first's
            fused_scores[cluster] = np.float32(scores[cluster] / sizes[cluster])
        areas[cluster] = (fused_4N[2, cluster] - fused_4N[0, cluster]) * (fused_4N[3, cluster] - fused_4N[1, cluster])
    total = weights_V.sum()
    for cluster in range(clusters):
        if mode == 0:
            factor = min(len(weights_V), sizes[cluster]) / total
        elif mode == 1:
            factor = 1 / weights_V.max()
        else:
            inside = 0.0
            for view in range(len(weights_V)):
                if members[cluster, view]:
                    inside += weights_V[view]
            if mode == 2:
                factor = sizes[cluster] / weights[cluster] * inside / total
            else:
                factor = sizes[cluster] / (weights[cluster] + total - inside)
        fused_scores[cluster] *= factor
    return np.vstack((fused_4N, fused_scores.reshape(1, -1)))[:, :clusters].T


def fuse_by_ensemble_boxes(
    boxes_N4: Floats, scores_N: Floats, classes_N: Ints, views_N: Ints, *, weights_V: Floats, iou: float, conf_type: str
) -> tuple[Floats, Floats, Ints]:
    """As `umbel.tasks.detection.postprocess.fusion.fuse`."""
    from ensemble_boxes import weighted_boxes_fusion  # imports pandas, which takes a second

    own = [views_N == view for view in range(len(weights_V))]
    boxes, scores, classes = weighted_boxes_fusion(
        [boxes_N4[of].tolist() for of in own],
        [scores_N[of].tolist() for of in own],
        [classes_N[of].tolist() for of in own],
        weights=weights_V.tolist(),
        iou_thr=iou,
        skip_box_thr=0.0,
        conf_type=conf_type,
    )
    return boxes.reshape(-1, 4), scores, np.asarray(classes).astype(np.int64)
