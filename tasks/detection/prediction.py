"""Values of a detection task: labelled boxes and detected boxes.

Legend: N boxes; boxes are x1, y1, x2, y2 in continuous pixels, the image spans 0..W and 0..H.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from umbel import Size

ANY_CLASS = -1  # of a crowd box that stands for no class in particular


@dataclass(frozen=True)
class BoxTarget:
    """The labelled boxes of an image, in the frame of that image.

    Args:
        boxes_N4: float32.
        classes_N: int64 class indices; ANY_CLASS only with crowd.
        crowd_N: bool; a crowd box covers many objects: it is not trained on, and ignored by the metric.
    """

    boxes_N4: np.ndarray
    classes_N: np.ndarray
    crowd_N: np.ndarray

    def select(self, keep: np.ndarray) -> BoxTarget:
        """The boxes that a mask or index array picks."""
        return BoxTarget(self.boxes_N4[keep], self.classes_N[keep], self.crowd_N[keep])

    def with_boxes(self, boxes_N4: np.ndarray) -> BoxTarget:
        """The same objects at other places."""
        return BoxTarget(boxes_N4.astype(np.float32), self.classes_N, self.crowd_N)


@dataclass(frozen=True)
class Detections:
    """The detected boxes of an image, best first; tensors on the CPU.

    Args:
        boxes_N4: float32.
        scores_N: float32 in 0..1.
        classes_N: int64 class indices.
        size: height and width of the frame that the boxes are in.
        drawn_from: the lowest score that is worth drawing; those below only clutter a picture.
    """

    boxes_N4: Tensor
    scores_N: Tensor
    classes_N: Tensor
    size: Size
    drawn_from: float = 0.3

    def select(self, keep: Tensor) -> Detections:
        """The detections that a mask or index tensor picks."""
        return Detections(self.boxes_N4[keep], self.scores_N[keep], self.classes_N[keep], self.size, self.drawn_from)
