"""Label maps as contours, and contours painted back into label maps.

Contours run along the outermost pixels of a region, those of its holes along the pixels around the hole. Filled by the
even-odd rule with their outline, all contours of a class together give its mask back exactly, with its thin lines,
single pixels, holes and regions in holes.

Legend: V vertices of a contour, x and y in pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from umbel import Size

Polygons = Mapping[int, Sequence[np.ndarray]]  # by class id: (V, 2) int32 contours, or (2,) for a single pixel

FARTHEST = 32767  # OpenCV draws no coordinate beyond


def contours_of(labels: np.ndarray, classes: int, *, compat_road: bool = False) -> dict[int, list[np.ndarray]]:
    """The contours of every class, as the organisers write them.

    Args:
        labels: (H, W) uint8 class ids.
        classes: how many classes there are; those that do not occur get an empty list.
        compat_road: class 0 covers the whole image, as a defect of the organisers' code has it.
    """
    polygons = {}
    for index in range(classes):
        mask = np.ones_like(labels) if compat_road and index == 0 else (labels == index).astype(np.uint8)
        contours, _ = cv2.findContours(mask, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)
        polygons[index] = [np.squeeze(contour) for contour in contours]
    return polygons


def paint(polygons: Polygons, size: Size) -> np.ndarray:
    """The label map of contours, (H, W) uint8: classes in ascending order, each over those before.

    Pixels in no contour are of class 0, which is what the organisers' files paint first everywhere.
    """
    labels = np.zeros(size, np.uint8)
    for index in sorted(polygons):
        contours = [contour.reshape(-1, 1, 2) for contour in polygons[index]]
        if contours and index:
            cv2.drawContours(labels, contours, -1, index, cv2.FILLED)  # even-odd, and the outline
    return labels
