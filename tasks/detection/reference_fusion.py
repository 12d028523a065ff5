"""Weighted boxes fusion by ensemble-boxes itself: slower, for whoever wants the published implementation."""

from __future__ import annotations

import numpy as np

from umbel.tasks.detection.fusion import Floats, Ints


def fuse_by_ensemble_boxes(
    boxes_N4: Floats, scores_N: Floats, classes_N: Ints, views_N: Ints, weights_V: Floats, iou: float, conf_type: str
) -> tuple[Floats, Floats, Ints]:
    """As `umbel.tasks.detection.fusion.fuse`."""
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
