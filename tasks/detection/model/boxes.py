"""Box arithmetic: forms and overlaps.

Legend: M boxes. xyxy: x1, y1, x2, y2; cxcywh: centre, width, height. Coordinates are continuous: no pixel is added.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

EPS = 1e-7


def xyxy_to_cxcywh(boxes: Tensor) -> Tensor:
    """(..., 4) corners to centre and sides."""
    low, high = boxes[..., :2], boxes[..., 2:]
    return torch.cat(((low + high) / 2, high - low), dim=-1)


def cxcywh_to_xyxy(boxes: Tensor) -> Tensor:
    """(..., 4) centre and sides to corners."""
    centre, half = boxes[..., :2], boxes[..., 2:] / 2
    return torch.cat((centre - half, centre + half), dim=-1)


def overlap(boxes1_M4: Tensor, boxes2_M4: Tensor, kind: str = "ciou") -> Tensor:
    """Overlap of boxes row by row, differentiable in both.

    Args:
        boxes1_M4: cxcywh, float32.
        boxes2_M4: cxcywh, float32.
        kind: "iou"; "giou" minus the empty share of the hull; "diou" minus the squared distance of the centres over the
            hull's diagonal; "ciou" minus a term for the aspect ratio too (Zheng et al. 2020), without a gradient
            through that term's weight.

    Returns:
        (M,), 1 for equal boxes; all but "iou" may be negative.
    """
    low1, high1 = cxcywh_to_xyxy(boxes1_M4).chunk(2, dim=-1)
    low2, high2 = cxcywh_to_xyxy(boxes2_M4).chunk(2, dim=-1)
    size1, size2 = boxes1_M4[..., 2:], boxes2_M4[..., 2:]
    inter = (torch.minimum(high1, high2) - torch.maximum(low1, low2)).clamp(min=0).prod(-1)
    union = size1.prod(-1) + size2.prod(-1) - inter + EPS
    iou = inter / union
    if kind == "iou":
        return iou
    hull = torch.maximum(high1, high2) - torch.minimum(low1, low2)
    if kind == "giou":
        area = hull.prod(-1) + EPS
        return iou - (area - union) / area
    distance = (boxes1_M4[..., :2] - boxes2_M4[..., :2]).square().sum(-1)
    diou = iou - distance / (hull.square().sum(-1) + EPS)
    if kind == "diou":
        return diou
    shape = (4 / math.pi**2) * (_angle(size2) - _angle(size1)).square()
    with torch.no_grad():
        weight = shape / (shape - iou + (1 + EPS))
    return diou - weight * shape


def _angle(size: Tensor) -> Tensor:
    return torch.atan(size[..., 0] / size[..., 1].clamp(min=EPS))  # a side of 0 would give a NaN gradient
