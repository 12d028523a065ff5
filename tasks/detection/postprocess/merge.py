"""One set of detections from those of several test views, equal to ensemble-boxes 1.0.9."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from umbel import ConfigError
from umbel.tasks.detection.options import DetectionOptions
from umbel.tasks.detection.postprocess.fusion import fuse, fuse_by_ensemble_boxes
from umbel.tasks.detection.postprocess.nms import suppress
from umbel.tasks.detection.postprocess.restore import clip_to
from umbel.tasks.detection.prediction import Detections

BACKENDS = {"compiled": fuse, "ensemble_boxes": fuse_by_ensemble_boxes}


def merge_views(views: Sequence[Detections], options: DetectionOptions, where: str) -> Detections:
    """Detections of all views as one, by the way that the options name; those of a single view as they are.

    Args:
        views: detections of each view, all in the frame of the original image.
        options: of the task.
        where: the recipe key of the options, for errors.

    Raises:
        ConfigError: there are weights, but not one a view.
    """
    if len(views) == 1:
        return views[0]
    if options.merge == "nms":
        return merge_by_nms(views, options.nms_iou)
    weights = options.wbf_weights
    if weights and len(weights) != len(views):
        raise ConfigError(
            f"wbf_weights has {len(weights)} values for {len(views)} test views",
            where=f"{where}.wbf_weights",
            hint="give one a view, or [] for equal weights",
        )
    return merge_by_wbf(
        views,
        iou=options.wbf_iou,
        skip=options.wbf_skip,
        conf_type=options.wbf_conf_type,
        weights=weights or None,
        backend=options.wbf_backend,
    )


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
    backend: str = "compiled",
) -> Detections:
    """Weighted boxes fusion (Solovyev et al. 2021): boxes that overlap become their score-weighted mean.

    Args:
        views: detections of each view, all in the frame of the original image.
        iou: overlap above which boxes of a class are fused.
        skip: boxes with a lower score are left out.
        conf_type: score of a fused box: "avg", "max", "box_and_model_avg" or "absent_model_aware_avg".
        weights: weight of each view; None weighs all alike.
        backend: "compiled" or "ensemble_boxes"; they give the same numbers.

    Returns:
        Fused detections, best first.
    """
    height, width = views[0].size
    scale = torch.tensor([width, height, width, height], dtype=torch.float64)
    inside = [_inside(view, skip) for view in views]
    together = Detections(
        (torch.cat([view.boxes_N4.double() for view in inside]) / scale).clamp(max=1),
        torch.cat([view.scores_N.double() for view in inside]),
        torch.cat([view.classes_N for view in inside]),
        views[0].size,
    )
    boxes, scores, classes = BACKENDS[backend](
        together.boxes_N4.detach().numpy(),
        together.scores_N.detach().numpy(),
        together.classes_N.detach().numpy(),
        np.repeat(np.arange(len(views)), [len(view.scores_N) for view in inside]),
        weights_V=np.ones(len(views)) if weights is None else np.array(weights, np.float64),
        iou=iou,
        conf_type=conf_type,
    )
    return Detections(
        clip_to((torch.from_numpy(boxes) * scale).float(), views[0].size),
        torch.from_numpy(scores).float(),
        torch.from_numpy(classes),
        views[0].size,
    )


def _inside(view: Detections, skip: float) -> Detections:
    """The view's boxes ordered and clipped to the image; those without area or with a lower score are left out."""
    low, high = view.boxes_N4[:, :2], view.boxes_N4[:, 2:]
    ordered = torch.cat((torch.minimum(low, high), torch.maximum(low, high)), dim=1)
    clipped = clip_to(ordered, view.size)
    kept = (clipped[:, 2:] > clipped[:, :2]).all(1) & (view.scores_N >= skip)
    return Detections(clipped, view.scores_N, view.classes_N, view.size).select(kept)


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
