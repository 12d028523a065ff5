"""The YOLOv5 loss: boxes by CIoU, objectness and classes by binary cross-entropy.

Legend: B images, A anchors a level, H and W cells, F = 5 + classes fields, T labels, M matches, L levels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from umbel import Losses, Size
from umbel.tasks.detection.model.assign import Matches, match
from umbel.tasks.detection.model.boxes import overlap
from umbel.tasks.detection.model.head import STRIDES

BALANCE = (4.0, 1.0, 0.4)  # objectness weight of each level: fine levels have many more empty cells


@dataclass(frozen=True)
class Gains:
    """Weights of the three parts."""

    box: float = 0.05
    obj: float = 1.0
    cls: float = 0.5

    def scaled(self, classes: int, size: Size) -> Gains:
        """Gains that follow the number of classes and the input size, as Ultralytics does for three levels."""
        levels = 3 / len(STRIDES)
        return Gains(self.box * levels, self.obj * (max(size) / 640) ** 2 * levels, self.cls * classes / 80 * levels)


def detection_loss(
    maps: Sequence[Tensor],
    rows_T6: Tensor,
    anchors_LA2: Tensor,
    gains: Gains,
    *,
    label_smoothing: float = 0.0,
    anchor_t: float = 4.0,
    iou_kind: str = "ciou",
) -> Losses:
    """Loss of a batch, times the number of images in it, as in the reference.

    Args:
        maps: raw outputs (B, A, H, W, F) a level; computed in float32 whatever they come in.
        rows_T6: image, class, cx, cy, w, h; normalised to the network input; T may be 0.
        anchors_LA2: anchors in pixels.

    Returns:
        The total, and the parts "box", "obj" and "cls" after their gains, before the number of images.
    """
    rows_T6 = rows_T6.float()
    box = obj = cls = rows_T6.new_zeros(())
    for level, raw in enumerate(maps):
        raw = raw.float()
        classes = raw.shape[-1] - 5
        grid = (raw.shape[2], raw.shape[3])
        matches = match(rows_T6, grid, anchors_LA2[level] / STRIDES[level], anchor_t)
        objectness_BAHW = torch.zeros_like(raw[..., 4])
        if len(matches.image_M):
            fields_MF = raw[matches.image_M, matches.anchor_M, matches.row_M, matches.column_M]
            iou_M = overlap(_predicted_boxes(fields_MF, matches), matches.boxes_M4, iou_kind)
            box = box + (1 - iou_M).mean()
            objectness_BAHW = _scatter_last(objectness_BAHW, matches, iou_M.detach().clamp(min=0))
            if classes > 1:
                wanted_MC = torch.full_like(fields_MF[:, 5:], 0.5 * label_smoothing)
                wanted_MC.scatter_(1, matches.class_M[:, None], 1 - 0.5 * label_smoothing)
                cls = cls + bce(fields_MF[:, 5:], wanted_MC)
        obj = obj + BALANCE[level] * bce(raw[..., 4], objectness_BAHW)
    box, obj, cls = gains.box * box, gains.obj * obj, gains.cls * cls
    total = (box + obj + cls) * maps[0].shape[0]
    return Losses(total, {"box": box.detach(), "obj": obj.detach(), "cls": cls.detach()})


def _predicted_boxes(fields_MF: Tensor, matches: Matches) -> Tensor:
    """(M, 4) cxcywh relative to the cell, in grid units."""
    activated_M4 = fields_MF[:, :4].sigmoid()
    sizes_M2 = (2 * activated_M4[:, 2:]).square() * matches.anchors_M2
    return torch.cat((2 * activated_M4[:, :2] - 0.5, sizes_M2), dim=1)


def _scatter_last(empty_BAHW: Tensor, matches: Matches, values_M: Tensor) -> Tensor:
    """The map with values written at the matches; of several for one cell the last counts, on every device."""
    _, anchors, height, width = empty_BAHW.shape
    cell_M = ((matches.image_M * anchors + matches.anchor_M) * height + matches.row_M) * width + matches.column_M
    order_M = torch.arange(len(cell_M), device=cell_M.device)
    last = torch.full((empty_BAHW.numel(),), -1, dtype=torch.int64, device=cell_M.device)
    last.scatter_reduce_(0, cell_M, order_M, reduce="amax")
    winner_M = last[cell_M] == order_M
    written = empty_BAHW.flatten().clone()
    written[cell_M[winner_M]] = values_M[winner_M].to(written.dtype)
    return written.view_as(empty_BAHW)
