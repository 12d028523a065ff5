"""The way back of boxes from a test view to the original image.

Legend: N boxes; boxes are x1, y1, x2, y2. Coordinates are continuous: no pixel is added.
"""

from __future__ import annotations

import torch
from torch import Tensor

from umbel import Size, View
from umbel.tasks.detection.prediction import Detections


def restore_detections(detections: Detections, view: View, size: Size) -> Detections:
    """Boxes in the original image, clipped to it; those that lay in the padding are gone."""
    boxes = clip_to(to_original(detections.boxes_N4, view.size, view.hflip, size), size)
    restored = Detections(boxes, detections.scores_N, detections.classes_N, size)
    return restored.select((boxes[:, 2:] > boxes[:, :2]).all(1))


def to_original(boxes_N4: Tensor, content: tuple[float, float], hflip: bool, original: tuple[float, float]) -> Tensor:
    """Boxes of a test view in the original image: divide by the scale, then mirror back.

    Padding is at the bottom and right, so that it moves nothing; the boxes are not clipped.

    Args:
        boxes_N4: xyxy in pixels of the view.
        content: height and width of the view without its padding.
        hflip: whether the view was mirrored.
        original: height and width of the original image.
    """
    scale_x, scale_y = original[1] / content[1], original[0] / content[0]
    boxes = boxes_N4 * boxes_N4.new_tensor([scale_x, scale_y, scale_x, scale_y])
    if hflip:
        x1, y1, x2, y2 = boxes.unbind(-1)
        boxes = torch.stack((original[1] - x2, y1, original[1] - x1, y2), dim=-1)
    return boxes


def clip_to(boxes_N4: Tensor, size: tuple[float, float]) -> Tensor:
    """Boxes with their corners moved into an image of this height and width."""
    height, width = size
    return torch.minimum(boxes_N4.clamp(min=0), boxes_N4.new_tensor([width, height, width, height]))
