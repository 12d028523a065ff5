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
        classes = raw.shape[-1] - 5
        objectness_BAHW = torch.zeros_like(raw[..., 4])
        if len(rows_T6):
            grid = (raw.shape[2], raw.shape[3])
            candidates = match(rows_T6, grid, anchors_LA2[level] / STRIDES[level], anchor_t)
            left_out_C1 = ~candidates.matched_C[:, None]
            share_C = candidates.matched_C / candidates.matched_C.sum().clamp(min=1)  # of each in a mean
            fields_CF = raw.flatten(0, 3)[candidates.cell_C].masked_fill(left_out_C1, 0.0)
            wanted_C4 = candidates.boxes_C4.masked_fill(left_out_C1, 1.0)  # a box whose overlap is always a number
            iou_C = overlap(_predicted_boxes(fields_CF, candidates.anchors_C2), wanted_C4, iou_kind)
            box = box + ((1 - iou_C) * share_C).sum()
            objectness_BAHW = _write_last(objectness_BAHW, candidates, iou_C.detach().clamp(min=0))
            if classes > 1:
                wanted_CK = torch.full_like(fields_CF[:, 5:], 0.5 * label_smoothing)
                wanted_CK.scatter_(1, candidates.class_C[:, None], 1 - 0.5 * label_smoothing)
                weight_C1 = share_C[:, None] / classes
                cls = cls + bce(fields_CF[:, 5:], wanted_CK, weight=weight_C1, reduction="sum")
        obj = obj + BALANCE[level] * bce(raw[..., 4], objectness_BAHW)
    box, obj, cls = gains.box * box, gains.obj * obj, gains.cls * cls
    total = (box + obj + cls) * maps[0].shape[0]
    return Losses(total, {"box": box.detach(), "obj": obj.detach(), "cls": cls.detach()})


def _predicted_boxes(fields_CF: Tensor, anchors_C2: Tensor) -> Tensor:
    """(C, 4) cxcywh relative to the cell, in grid units."""
    activated_C4 = fields_CF[:, :4].sigmoid()
    sizes_C2 = (2 * activated_C4[:, 2:]).square() * anchors_C2
    return torch.cat((2 * activated_C4[:, :2] - 0.5, sizes_C2), dim=1)


def _write_last(empty_BAHW: Tensor, candidates: Candidates, values_C: Tensor) -> Tensor:
    """The map with values written at the matches; of several for one cell the last counts, on every device."""
    spare = empty_BAHW.numel()  # one cell more, for what is left out
    cell_C = candidates.cell_C.masked_fill(~candidates.matched_C, spare)
    order_C = torch.arange(len(cell_C), device=cell_C.device)
    last = order_C.new_full((spare + 1,), -1)
    last.scatter_reduce_(0, cell_C, order_C, reduce="amax")
    written = empty_BAHW.new_zeros(spare + 1)
    written[cell_C.masked_fill(last[cell_C] != order_C, spare)] = values_C.to(written.dtype)
    return written[:spare].view_as(empty_BAHW)
