"""Which cells and anchors answer for which labels: the rule of YOLOv5 7.0.

Legend: T labels, A anchors, M matches. Grid units: 1 is one cell of the level.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_NEIGHBOURS = ((0.0, 0.0), (0.5, 0.0), (0.0, 0.5), (-0.5, 0.0), (0.0, -0.5))  # centre, left, upper, right, lower


@dataclass(frozen=True)
class Matches:
    """Cells of one level with the label each has to predict; all (M,) int64 but the last two.

    Args:
        image_M, anchor_M, row_M, column_M: the cell.
        class_M: class index of the label.
        boxes_M4: centre relative to the cell's corner, width, height; grid units.
        anchors_M2: width and height of the anchor; grid units.
    """

    image_M: Tensor
    anchor_M: Tensor
    row_M: Tensor
    column_M: Tensor
    class_M: Tensor
    boxes_M4: Tensor
    anchors_M2: Tensor


def match(rows_T6: Tensor, grid: tuple[int, int], anchors_A2: Tensor, threshold: float) -> Matches:
    """Match labels with the anchors and cells of one level, in float32.

    A label matches every anchor whose sides differ by a factor below `threshold`, in the cell of its centre and in the
    nearest cell beside and above or below it. A centre exactly on a border repeats its own cell, as in the reference.

    Args:
        rows_T6: image, class, cx, cy, w, h; normalised to the network input.
        grid: rows and columns of the level.
        anchors_A2: anchors of the level in grid units.

    Returns:
        Matches ordered by neighbour, then anchor, then label.
    """
    height, width = grid
    extent = rows_T6.new_tensor([width, height])
    centres_T2, sizes_T2 = rows_T6[:, 2:4] * extent, rows_T6[:, 4:6] * extent
    ratio_AT2 = sizes_T2[None] / anchors_A2[:, None]
    anchor_P, label_P = (torch.maximum(ratio_AT2, 1 / ratio_AT2).amax(2) < threshold).nonzero(as_tuple=True)

    centres_P2 = centres_T2[label_P]
    from_end_P2 = extent - centres_P2
    near_low_P2 = (centres_P2 % 1 < 0.5) & (centres_P2 > 1)
    near_high_P2 = (from_end_P2 % 1 < 0.5) & (from_end_P2 > 1)
    always_P1 = torch.ones_like(near_low_P2[:, :1])
    taken_5P = torch.cat((always_P1, near_low_P2, near_high_P2), dim=1).T
    side_M, pair_M = taken_5P.nonzero(as_tuple=True)

    label_M, anchor_M = label_P[pair_M], anchor_P[pair_M]
    centres_M2 = centres_T2[label_M]
    cells_M2 = (centres_M2 - rows_T6.new_tensor(_NEIGHBOURS)[side_M]).long()  # towards zero
    cells_M2 = torch.minimum(cells_M2.clamp(min=0), extent.long() - 1)
    image_M, class_M = rows_T6[label_M, :2].long().unbind(1)
    return Matches(
        image_M=image_M,
        anchor_M=anchor_M,
        row_M=cells_M2[:, 1],
        column_M=cells_M2[:, 0],
        class_M=class_M,
        boxes_M4=torch.cat((centres_M2 - cells_M2, sizes_T2[label_M]), dim=1),  # relative to the clamped cell
        anchors_M2=anchors_A2[anchor_M],
    )
