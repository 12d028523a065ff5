"""Which cells and anchors answer for which labels: the rule of YOLOv5 7.0, without a result whose size depends on it.

Legend: B images, H and W cells, T labels, A anchors, C = 5 * A * T candidates. Grid units: 1 is one cell of the level.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

HALF = 0.5  # of a cell: a centre in the half beside a neighbour is the neighbour's too


@dataclass(frozen=True)
class Candidates:
    """Every label with every anchor in its own and the four neighbouring cells, and which of these count.

    Only their mask depends on the values of the labels, so that no host has to wait for a device to learn a shape. What
    the mask leaves out still names a cell of the level.

    Args:
        matched_C: bool; whether the cell has to predict the label.
        cell_C: int64 index of the cell among all of the level, which are (B, A, H, W).
        class_C: int64 class index of the label.
        boxes_C4: centre relative to the cell's corner, width, height; grid units.
        anchors_C2: width and height of the anchor; grid units.
    """

    matched_C: Tensor
    cell_C: Tensor
    class_C: Tensor
    boxes_C4: Tensor
    anchors_C2: Tensor


def match(rows_T6: Tensor, grid: tuple[int, int], anchors_A2: Tensor, threshold: float) -> Candidates:
    """Match labels with the anchors and cells of one level, in float32.

    A label matches every anchor whose sides differ by a factor below `threshold`, in the cell of its centre and in the
    nearest cell beside and above or below it. A centre exactly on a border repeats its own cell, as in the reference.

    Args:
        rows_T6: image, class, cx, cy, w, h; normalised to the network input.
        grid: rows and columns of the level.
        anchors_A2: anchors of the level in grid units.

    Returns:
        Candidates ordered by neighbour, then anchor, then label.
    """
    height, width = grid
    anchors, labels = len(anchors_A2), len(rows_T6)
    image_T, class_T = rows_T6[:, :2].long().unbind(1)
    x_T, y_T = rows_T6[:, 2] * width, rows_T6[:, 3] * height
    sizes_T2 = torch.stack((rows_T6[:, 4] * width, rows_T6[:, 5] * height), dim=1)
    ratio_AT2 = sizes_T2 / anchors_A2[:, None]
    fits_AT = torch.maximum(ratio_AT2, 1 / ratio_AT2).amax(2) < threshold

    edges_4T = torch.stack((x_T, y_T, width - x_T, height - y_T))  # how far the left, upper, right and lower edge are
    near_4T = (edges_4T % 1 < HALF) & (edges_4T > 1)
    near_5T = torch.cat((torch.ones_like(near_4T[:1]), near_4T))
    column_5T = torch.stack((x_T, x_T - HALF, x_T, x_T + HALF, x_T)).long().clamp(0, width - 1)  # towards zero
    row_5T = torch.stack((y_T, y_T, y_T - HALF, y_T, y_T + HALF)).long().clamp(0, height - 1)
    map_AT = image_T * anchors + torch.arange(anchors, device=rows_T6.device)[:, None]
    cell_5AT = map_AT * (height * width) + (row_5T * width + column_5T)[:, None]
    corner_5T2 = torch.stack((x_T - column_5T, y_T - row_5T), dim=2)  # relative to the clamped cell
    boxes_5T4 = torch.cat((corner_5T2, sizes_T2.expand(5, labels, 2)), dim=2)
    return Candidates(
        matched_C=(near_5T[:, None] & fits_AT).flatten(),
        cell_C=cell_5AT.flatten(),
        class_C=class_T.repeat(5 * anchors),
        boxes_C4=boxes_5T4[:, None].expand(5, anchors, labels, 4).flatten(0, 2),
        anchors_C2=anchors_A2[None, :, None].expand(5, anchors, labels, 2).flatten(0, 2),
    )
