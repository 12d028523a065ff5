"""Class-wise non-maximum suppression as in YOLOv5 7.0, but in float32 and without a time limit.

Legend: B images, N predictions or boxes, R of these worth a look, M boxes with a class, K classes, F = 5 + K fields.
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
    predictions_BNF: Tensor,
    size: Size,
    *,
    conf: float = 0.001,
    iou: float = 0.65,
    multi_label: bool = True,
    limit: int = 300,
) -> list[Detections]:
    """Detections of the images of a batch from their decoded predictions.

    Only finding how many predictions are worth a look and one copy of these make the host wait for the device; all that
    follows runs on the CPU.

    Args:
        predictions_BNF: cx, cy, w, h in pixels, objectness, class probabilities.
        size: height and width of the frame of the boxes.
        conf: objectness, and objectness times class probability, must both be above this.
        iou: overlap above which the lower score is suppressed, within a class.
        multi_label: a box counts once for every class above `conf`, rather than for its best class.
        limit: detections kept, the best.

    Returns:
        Detections of each image, on the CPU, best first.
    """
    found = []
    for predictions_RF in _above(predictions_BNF.float(), conf):
        row_M, class_M, score_M = _labelled(predictions_RF, conf, multi_label)
        if len(score_M) > MAX_CANDIDATES:
            best = score_M.topk(MAX_CANDIDATES).indices
            row_M, class_M, score_M = row_M[best], class_M[best], score_M[best]
        boxes_M4 = cxcywh_to_xyxy(predictions_RF[row_M, :4])
        keep = suppress(boxes_M4, score_M, class_M, iou)[:limit]
        found.append(Detections(boxes_M4[keep], score_M[keep], class_M[keep], size))
    return found


def _above(predictions_BNF: Tensor, conf: float) -> list[Tensor]:
    """(R, F) on the CPU of each image: predictions in their order with an objectness above `conf` and a real box."""
    above_BN = (predictions_BNF[..., 4] > conf) & predictions_BNF[..., :4].isfinite().all(-1)
    image_R, prediction_R = above_BN.nonzero(as_tuple=True)
    kept_RF = predictions_BNF[image_R, prediction_R]
    numbered_RG = torch.cat((image_R[:, None].to(kept_RF.dtype), kept_RF), dim=1).cpu()
    counts = numbered_RG[:, 0].long().bincount(minlength=len(predictions_BNF)).tolist()
    return list(torch.split(numbered_RG[:, 1:], counts))


def _labelled(predictions_RF: Tensor, conf: float, multi_label: bool) -> tuple[Tensor, Tensor, Tensor]:
    """(M,) each: index of a prediction, a class of it, and their score, which is above `conf`."""
    scores_RK = predictions_RF[:, 5:] * predictions_RF[:, 4:5]
    if multi_label:
        row_M, class_M = (scores_RK > conf).nonzero(as_tuple=True)
    else:
        best_R, class_R = scores_RK.max(dim=1)
        row_M = (best_R > conf).nonzero()[:, 0]
        class_M = class_R[row_M]
    return row_M, class_M, scores_RK[row_M, class_M]
