"""Class-wise non-maximum suppression as in YOLOv5 7.0, but in float32 and without a time limit.

Legend: N predictions or boxes, K classes.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.ops import nms

from umbel import Size
from umbel.tasks.detection.model.boxes import cxcywh_to_xyxy
from umbel.tasks.detection.prediction import Detections

MAX_CANDIDATES = 30000


def suppress(boxes_N4: Tensor, scores_N: Tensor, classes_N: Tensor, iou: float) -> Tensor:
    """Indices of the boxes that remain when those overlapping a better one of their class by more than `iou` go.

    Classes are taken one by one rather than moved apart by an offset, which would cost float32 precision.

    Returns:
        (M,) int64, best score first.
    """
    kept = [torch.zeros(0, dtype=torch.int64, device=boxes_N4.device)]
    for index in sorted(set(classes_N.tolist())):
        members = (classes_N == index).nonzero()[:, 0]
        kept.append(members[nms(boxes_N4[members], scores_N[members], iou)])
    remaining = torch.cat(kept)
    return remaining[scores_N[remaining].argsort(descending=True, stable=True)]


def select_detections(
    predictions_NF: Tensor,
    size: Size,
    *,
    conf: float = 0.001,
    iou: float = 0.65,
    multi_label: bool = True,
    limit: int = 300,
) -> Detections:
    """Detections of one image from its decoded predictions.

    Args:
        predictions_NF: cx, cy, w, h in pixels, objectness, class probabilities.
        size: height and width of the frame of the boxes.
        conf: objectness, and objectness times class probability, must both be above this.
        iou: overlap above which the lower score is suppressed, within a class.
        multi_label: a box counts once for every class above `conf`, rather than for its best class.
        limit: detections kept, the best.

    Returns:
        Detections on the CPU, best first.
    """
    predictions = predictions_NF.float()
    predictions = predictions[(predictions[:, 4] > conf) & predictions[:, :4].isfinite().all(1)]
    scores_NK = predictions[:, 5:] * predictions[:, 4:5]
    if multi_label:
        row_M, class_M = (scores_NK > conf).nonzero(as_tuple=True)
    else:
        best_N, class_N = scores_NK.max(dim=1)
        row_M = (best_N > conf).nonzero()[:, 0]
        class_M = class_N[row_M]
    score_M = scores_NK[row_M, class_M]
    if len(score_M) > MAX_CANDIDATES:
        best = score_M.topk(MAX_CANDIDATES).indices
        row_M, class_M, score_M = row_M[best], class_M[best], score_M[best]
    boxes_M4 = cxcywh_to_xyxy(predictions[row_M, :4])
    keep = suppress(boxes_M4, score_M, class_M, iou)[:limit]
    return Detections(boxes_M4[keep].cpu(), score_M[keep].cpu(), class_M[keep].cpu(), size)
