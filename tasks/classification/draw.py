"""Pictures of classified images."""

from __future__ import annotations

import numpy as np

from umbel import palette, put_label


def draw_class(image: np.ndarray, class_id: int, class_names: list[str], probability: float | None) -> np.ndarray:
    """Write the class, and its probability if there is one, along the bottom of a copy of the image.

    Args:
        image: (H, W, 3) uint8 RGB.
        class_id: the class to name.
        class_names: names by class id.
        probability: in 0..1; drawn as a bar under the text too. None for a true label.
    """
    picture = image.copy()
    height, width = picture.shape[:2]
    red, green, blue = (int(value) for value in palette(len(class_names))[class_id])
    text = class_names[class_id]
    bar = max(2, height // 60)
    if probability is not None:
        text = f"{text} {probability:.0%}"
        picture[height - bar :] //= 3
        picture[height - bar :, : round(width * probability)] = (red, green, blue)
    put_label(picture, text, (0, height - bar), (red, green, blue))
    return picture
