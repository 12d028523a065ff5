"""The YOLOv5 loss: boxes by CIoU, objectness and classes by binary cross-entropy.

Legend: B images, A anchors a level, H and W cells, F = 5 + classes fields, T labels, C candidates, K classes, L
levels. No shape depends on a value, so that the host never waits for the device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from umbel import Losses, Size
from umbel.tasks.detection.model.assign import Candidates, match
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
        objectness_BAHW = torch.zeros_like(raw[..., 4])
        if len(rows_T6):
            grid = (raw.shape[2], raw.shape[3])
            candidates = match(rows_T6, grid, anchors_LA2[level] / STRIDES[level], anchor_t)
            matched_C = candidates.matched_C
            cell_C = _cells(candidates, raw.shape)
            fields_CF = raw.flatten(0, 3)[cell_C].masked_fill(~matched_C[:, None], 0.0)
            iou_C = overlap(_predicted_boxes(fields_CF, candidates), _wanted_boxes(candidates), iou_kind)
            box = box + _mean(1 - iou_C, matched_C)
            objectness_BAHW = _write_last(objectness_BAHW, cell_C, matched_C, iou_C.detach().clamp(min=0))
            if raw.shape[-1] > 5 + 1:
                cls = cls + _mean(_class_loss(fields_CF[:, 5:], candidates.class_C, label_smoothing), matched_C)
        obj = obj + BALANCE[level] * bce(raw[..., 4], objectness_BAHW)
    box, obj, cls = gains.box * box, gains.obj * obj, gains.cls * cls
    total = (box + obj + cls) * maps[0].shape[0]
    return Losses(total, {"box": box.detach(), "obj": obj.detach(), "cls": cls.detach()})


def _cells(candidates: Candidates, shape: Sequence[int]) -> Tensor:
    """(C,) index of each candidate's cell among all of maps of this shape (B, A, H, W, F)."""
    _, anchors, height, width, _ = shape
    return (
        (candidates.image_C * anchors + candidates.anchor_C) * height + candidates.row_C
    ) * width + candidates.column_C


def _predicted_boxes(fields_CF: Tensor, candidates: Candidates) -> Tensor:
    """(C, 4) cxcywh relative to the cell, in grid units."""
    activated_C4 = fields_CF[:, :4].sigmoid()
    sizes_C2 = (2 * activated_C4[:, 2:]).square() * candidates.anchors_C2
    return torch.cat((2 * activated_C4[:, :2] - 0.5, sizes_C2), dim=1)


def _wanted_boxes(candidates: Candidates) -> Tensor:
    """(C, 4) boxes of the labels; where they do not count a box of side 1, whose overlap is always a number."""
    return candidates.boxes_C4.masked_fill(~candidates.matched_C[:, None], 1.0)


def _class_loss(logits_CK: Tensor, class_C: Tensor, smoothing: float) -> Tensor:
    """(C,) binary cross-entropy, the mean over the classes."""
    wanted_CK = torch.full_like(logits_CK, 0.5 * smoothing)
    wanted_CK.scatter_(1, class_C[:, None], 1 - 0.5 * smoothing)
    return bce(logits_CK, wanted_CK, reduction="none").mean(1)


def _mean(values_C: Tensor, matched_C: Tensor) -> Tensor:
    """Mean of the values that count; 0 where there is none."""
    return values_C.masked_fill(~matched_C, 0.0).sum() / matched_C.sum().clamp(min=1)


def _write_last(empty_BAHW: Tensor, cell_C: Tensor, matched_C: Tensor, values_C: Tensor) -> Tensor:
    """The map with the values that count in their cells; of several for one cell the last, on every device."""
    spare = empty_BAHW.numel()  # a cell more, for what does not count
    order_C = torch.arange(len(cell_C), device=cell_C.device)
    last = order_C.new_full((spare + 1,), -1)
    last.scatter_reduce_(0, cell_C.masked_fill(~matched_C, spare), order_C, reduce="amax")
    wins_C = matched_C & (last[cell_C] == order_C)
    written = empty_BAHW.new_zeros(spare + 1)
    written[cell_C.masked_fill(~wins_C, spare)] = values_C.to(written.dtype)
    return written[:spare].view_as(empty_BAHW)
