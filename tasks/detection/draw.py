"""Pictures of boxes."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from umbel import palette, put_label
from umbel.tasks.detection.prediction import ANY_CLASS, BoxTarget, Detections

GREY = (160, 160, 160)  # of regions without a class


def draw_boxes(image: np.ndarray, boxes: BoxTarget | Detections, class_names: Sequence[str]) -> np.ndarray:
    """A copy of the image with boxes, class names and, for detections, scores from `drawn_from` on.

    Args:
        image: (H, W, 3) uint8 RGB.
        boxes: in pixels of the image.
        class_names: names by class index.
    """
    picture = np.ascontiguousarray(image).copy()
    colours = palette(len(class_names))
    width = max(2, round(min(image.shape[:2]) / 250))
    for corners, index, text in reversed(_captions(boxes, class_names)):  # best last, on top
        x1, x2 = np.clip(corners[::2], 0, picture.shape[1] - 1).tolist()  # lines on the border stay in sight
        y1, y2 = np.clip(corners[1::2], 0, picture.shape[0] - 1).tolist()
        colour = GREY if index == ANY_CLASS else tuple(int(value) for value in colours[index])
        cv2.rectangle(picture, (x1, y1), (x2, y2), (0, 0, 0), width + 2)  # a dark edge shows on light ground
        cv2.rectangle(picture, (x1, y1), (x2, y2), colour, width)
        put_label(picture, text, (x1, y1), (colour[0], colour[1], colour[2]))
    return picture


def _captions(boxes: BoxTarget | Detections, class_names: Sequence[str]) -> list[tuple[list[int], int, str]]:
    """Corners, class index and text of every box to be drawn."""
    if isinstance(boxes, Detections):
        shown = boxes.select(boxes.scores_N >= boxes.drawn_from)
        corners, classes = shown.boxes_N4.round().int().tolist(), shown.classes_N.tolist()
        texts = [f"{class_names[k]} {score:.2f}" for k, score in zip(classes, shown.scores_N.tolist(), strict=True)]
    else:
        corners, classes = boxes.boxes_N4.round().astype(int).tolist(), boxes.classes_N.tolist()
        crowd = boxes.crowd_N.tolist()
        texts = [
            "ignored" if k == ANY_CLASS else class_names[k] + (" (crowd)" if many else "")
            for k, many in zip(classes, crowd, strict=True)
        ]
    return list(zip(corners, classes, texts, strict=True))
