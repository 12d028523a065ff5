"""Pictures with something to see: smooth noise, and shapes on it. Cheap at any size."""

from __future__ import annotations

import colorsys

import cv2
import numpy as np

Size = tuple[int, int]  # height, width
Colour = tuple[int, int, int]


def background(size: Size, rng: np.random.Generator) -> np.ndarray:
    """(H, W, 3) uint8: soft clouds of colour."""
    coarse = rng.integers(60, 190, (9, 16, 3), dtype=np.uint8)
    clouds: np.ndarray = cv2.resize(coarse, (size[1], size[0]), interpolation=cv2.INTER_CUBIC)
    return clouds


def colour_of(index: int) -> Colour:
    """A colour for a class, far from its neighbours'."""
    red, green, blue = colorsys.hsv_to_rgb((index * 0.618034) % 1.0, 0.8, 0.9)
    return (int(255 * red), int(255 * green), int(255 * blue))
