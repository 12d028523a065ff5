"""The YOLOv5 loss as its definition reads: find the matches, pick their cells, take means. It waits for every shape.

Legend: T labels, A anchors, P pairs of label and anchor, M matches; rows are image, class, cx, cy, w, h, normalised.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from umbel.tasks.detection.model.boxes import overlap
from umbel.tasks.detection.model.head import STRIDES
from umbel.tasks.detection.model.loss import BALANCE, Gains

SHIFTS = ((0.0, 0.0), (0.5, 0.0), (0.0, 0.5), (-0.5, 0.0), (0.0, -0.5))


class Matches(NamedTuple):
    cells: tuple[Tensor, Tensor, Tensor, Tensor]  # image, anchor, row, column
    classes_M: Tensor
    boxes_M4: Tensor
    anchors_M2: Tensor


def sparse_matches(rows_T6: Tensor, grid: tuple[int, int], anchors_A2: Tensor, threshold: float) -> Matches:
    extent = torch.tensor([grid[1], grid[0]], dtype=torch.float32)
    centres_T2, sizes_T2 = rows_T6[:, 2:4] * extent, rows_T6[:, 4:6] * extent
    ratio_AT2 = sizes_T2[None] / anchors_A2[:, None]
    anchor_P, label_P = (torch.maximum(ratio_AT2, 1 / ratio_AT2).amax(2) < threshold).nonzero(as_tuple=True)
    from_start, from_end = centres_T2[label_P], extent - centres_T2[label_P]
    low, high = ((part % 1 < 0.5) & (part > 1) for part in (from_start, from_end))
    side_M, pair_M = torch.cat((torch.ones_like(low[:, :1]), low, high), dim=1).T.nonzero(as_tuple=True)
    label_M, anchor_M = label_P[pair_M], anchor_P[pair_M]
    cells_M2 = (centres_T2[label_M] - torch.tensor(SHIFTS)[side_M]).long()
    cells_M2 = torch.minimum(cells_M2.clamp(min=0), extent.long() - 1)
    image_M, class_M = rows_T6[label_M, :2].long().unbind(1)
    boxes_M4 = torch.cat((centres_T2[label_M] - cells_M2, sizes_T2[label_M]), dim=1)
    return Matches((image_M, anchor_M, cells_M2[:, 1], cells_M2[:, 0]), class_M, boxes_M4, anchors_A2[anchor_M])


def sparse_detection_loss(
    maps: Sequence[Tensor],
    rows_T6: Tensor,
    anchors_LA2: Tensor,
    gains: Gains,
    *,
    label_smoothing: float,
    anchor_t: float,
    iou_kind: str,
) -> dict[str, Tensor]:
    """The total and the parts "box", "obj" and "cls", all with gradients."""
    parts = {"box": torch.zeros(()), "obj": torch.zeros(()), "cls": torch.zeros(())}
    for level, raw in enumerate(maps):
        grid = (raw.shape[2], raw.shape[3])
        matches = sparse_matches(rows_T6, grid, anchors_LA2[level] / STRIDES[level], anchor_t)
        objectness = torch.zeros(raw.shape[:-1])
        if len(matches.classes_M):
            fields_MF = raw[matches.cells]
            activated = fields_MF[:, :4].sigmoid()
            sides = (2 * activated[:, 2:]).square() * matches.anchors_M2
            iou_M = overlap(torch.cat((2 * activated[:, :2] - 0.5, sides), dim=1), matches.boxes_M4, iou_kind)
            parts["box"] = parts["box"] + (1 - iou_M).mean()
            for *cell, value in zip(*matches.cells, iou_M.detach().clamp(min=0), strict=True):
                objectness[tuple(cell)] = value  # a later one overwrites
            if raw.shape[-1] > 6:
                wanted = torch.full_like(fields_MF[:, 5:], 0.5 * label_smoothing)
                wanted[torch.arange(len(wanted)), matches.classes_M] = 1 - 0.5 * label_smoothing
                parts["cls"] = parts["cls"] + bce(fields_MF[:, 5:], wanted)
        parts["obj"] = parts["obj"] + BALANCE[level] * bce(raw[..., 4], objectness)
    parts = {name: getattr(gains, name) * value for name, value in parts.items()}
    total = (parts["box"] + parts["obj"] + parts["cls"]) * maps[0].shape[0]
    return {"total": total, **parts}
