"""Colours and text for pictures of predictions."""

from __future__ import annotations

import colorsys

import numpy as np


def palette(count: int) -> np.ndarray:
    """`count` distinct RGB colours, (count, 3) uint8: hues by the golden angle, alternating lightness."""
    colours = [
        colorsys.hls_to_rgb((index * 0.61803398875) % 1.0, (0.55, 0.4, 0.68)[index % 3], 0.75) for index in range(count)
    ]
    return (np.array(colours).reshape(count, 3) * 255).round().astype(np.uint8)


def put_label(image: np.ndarray, text: str, corner: tuple[int, int], colour: tuple[int, int, int]) -> None:
    """Write text on a filled box, in place, kept inside the picture.

    Args:
        image: (H, W, 3) uint8 RGB.
        text: ASCII text; other characters are shown as "?".
        corner: x and y of the box's bottom left corner in pixels.
        colour: RGB of the box; the text is black or white, whichever reads better.
    """
    import cv2

    height, width = image.shape[:2]
    scale = max(0.35, min(height, width) / 900)
    thickness = 1 if scale < 0.9 else 2
    text = text.encode("ascii", "replace").decode()
    (text_width, text_height), baseline = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)
    x = int(max(0, min(corner[0], width - text_width - 4)))
    y = int(max(text_height + baseline + 2, min(corner[1], height)))
    canvas = np.ascontiguousarray(image)  # cv2 does not draw into views
    cv2.rectangle(canvas, (x, y - text_height - baseline - 2), (x + text_width + 4, y), colour, -1)
    dark = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] < 140
    ink = (255, 255, 255) if dark else (0, 0, 0)
    cv2.putText(canvas, text, (x + 2, y - baseline), cv2.FONT_HERSHEY_SIMPLEX, scale, ink, thickness, cv2.LINE_AA)
    if canvas is not image:
        image[...] = canvas
