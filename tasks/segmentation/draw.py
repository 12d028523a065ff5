"""Pictures of label maps."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from umbel import palette, put_label

OPACITY = 0.5

SMALLEST_NAMED = 0.004  # share of the picture that a region needs to carry its name


def draw_labels(image: np.ndarray, labels: np.ndarray, class_names: Sequence[str]) -> np.ndarray:
    """Tint every class, outline the regions and write the name on the largest region of each class.

    Args:
        image: (H, W, 3) uint8 RGB.
        labels: (H, W) uint8 class ids; other values are shown darkened.
        class_names: names by class id.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    colours = np.zeros((256, 3), np.uint8)
    colours[: len(class_names)] = palette(len(class_names))
    picture: np.ndarray = cv2.addWeighted(image, 1 - OPACITY, colours[labels], OPACITY, 0)
    picture[_edges(labels)] = 255
    present = np.flatnonzero(np.bincount(labels.ravel(), minlength=256)[: len(class_names)])
    for class_id in present.tolist():
        where = _inside_largest(labels == class_id)
        if where is not None:
            red, green, blue = (int(value) for value in colours[class_id])
            put_label(
                picture, class_names[class_id], _centred(picture, class_names[class_id], where), (red, green, blue)
            )
    return picture


def _edges(labels: np.ndarray) -> np.ndarray:
    """(H, W) bool, true left of and above a change of class."""
    edges = np.zeros(labels.shape, bool)
    edges[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    edges[:-1] |= labels[:-1] != labels[1:]
    return edges


def _inside_largest(mask: np.ndarray) -> tuple[int, int] | None:
    """The x and y farthest from the border of the largest connected region, if that is large enough to name."""
    _, regions, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    areas = stats[1:, cv2.CC_STAT_AREA]
    if areas.max() < SMALLEST_NAMED * mask.size:
        return None
    largest = (regions == 1 + int(areas.argmax())).astype(np.uint8)
    depth = cv2.distanceTransform(np.pad(largest, 1), cv2.DIST_L2, 3)[1:-1, 1:-1]
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return int(x), int(y)


def _centred(picture: np.ndarray, text: str, middle: tuple[int, int]) -> tuple[int, int]:
    """Corner for `put_label` so that the text is roughly centred on a point."""
    scale = max(0.35, min(picture.shape[:2]) / 900)
    return int(middle[0] - 9 * scale * len(text)), int(middle[1] + 15 * scale)
