"""One set of detections from those of several test views (SPEC 6)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from umbel.tasks.detection.boxes import clip_to
from umbel.tasks.detection.nms import suppress
from umbel.tasks.detection.targets import Detections


def merge_by_nms(views: Sequence[Detections], iou: float) -> Detections:
    """Detections of all views together, after class-wise NMS; scores stay."""
    together = Detections(
        torch.cat([view.boxes_N4 for view in views]),
        torch.cat([view.scores_N for view in views]),
        torch.cat([view.classes_N for view in views]),
        views[0].size,
    )
    return together.select(suppress(together.boxes_N4, together.scores_N, together.classes_N, iou))


def merge_by_wbf(
    views: Sequence[Detections],
    *,
    iou: float = 0.55,
    skip: float = 0.001,
    conf_type: str = "avg",
    weights: Sequence[float] | None = None,
) -> Detections:
    """Weighted boxes fusion (Solovyev et al. 2021): boxes that overlap become their score-weighted mean.

    Args:
        views: detections of each view, all in the frame of the original image.
        iou: overlap above which boxes of a class are fused.
        skip: boxes with a lower score are left out.
        conf_type: score of a fused box: "avg", "max", "box_and_model_avg" or "absent_model_aware_avg".
        weights: weight of each view; None weighs all alike.

    Returns:
        Fused detections, best first.
    """
    from ensemble_boxes import weighted_boxes_fusion  # imports numba, which takes a second

    height, width = views[0].size
    scale = torch.tensor([width, height, width, height], dtype=torch.float64)
    inside = [_inside(view) for view in views]
    boxes, scores, classes = weighted_boxes_fusion(
        [(view.boxes_N4.double() / scale).clamp(max=1).tolist() for view in inside],
        [view.scores_N.tolist() for view in inside],
        [view.classes_N.tolist() for view in inside],
        weights=None if weights is None else list(weights),
        iou_thr=iou,
        skip_box_thr=skip,
        conf_type=conf_type,
    )
    return Detections(
        clip_to((torch.as_tensor(boxes, dtype=torch.float64).view(-1, 4) * scale).float(), views[0].size),
        torch.as_tensor(scores, dtype=torch.float32),
        torch.as_tensor(classes).long(),
        views[0].size,
    )


def _inside(view: Detections) -> Detections:
    """The view's boxes ordered, clipped to the image, without those that have no area: the fusion warns about them."""
    low, high = view.boxes_N4[:, :2], view.boxes_N4[:, 2:]
    ordered = torch.cat((torch.minimum(low, high), torch.maximum(low, high)), dim=1)
    clipped = clip_to(ordered, view.size)
    solid = (clipped[:, 2:] > clipped[:, :2]).all(1)
    return Detections(clipped, view.scores_N, view.classes_N, view.size).select(solid)


def keep_best(detections: Detections, per_class: int) -> Detections:
    """The best `per_class` detections of each class, best first."""
    by_score = detections.scores_N.argsort(descending=True, stable=True)
    kept = [
        by_score[detections.classes_N[by_score] == index][:per_class]
        for index in sorted(set(detections.classes_N.tolist()))
    ]
    if not kept:
        return detections
    chosen = torch.cat(kept)
    return detections.select(chosen[detections.scores_N[chosen].argsort(descending=True, stable=True)])
