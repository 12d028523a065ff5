"""Colour changes of uint8 images, those of torchvision's ColorJitter in one look-up table or two passes each.

Equal to albumentations' to a grey level, without its bookkeeping, which costs more than the pixels of a small image.
"""

from __future__ import annotations

import cv2
import numpy as np

_LEVELS = np.arange(256, dtype=np.float32)


def adjust_brightness(image: np.ndarray, factor: float) -> np.ndarray:
    """(H, W, 3) uint8 RGB, every value times a factor."""
    return _look_up(image, _LEVELS * factor)


def adjust_contrast(image: np.ndarray, factor: float) -> np.ndarray:
    """(H, W, 3) uint8 RGB, every value's distance from the image's mean grey times a factor."""
    grey = float(cv2.mean(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))[0])
    return _look_up(image, _LEVELS * factor + grey * (1 - factor))


def adjust_saturation(image: np.ndarray, factor: float) -> np.ndarray:
    """(H, W, 3) uint8 RGB, every pixel's distance from its grey times a factor."""
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    changed: np.ndarray = cv2.addWeighted(image, factor, grey, 1 - factor, 0, dst=grey)
    return changed


def adjust_hue(image: np.ndarray, turn: float) -> np.ndarray:
    """(H, W, 3) uint8 RGB, hues turned by a share of the circle."""
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    hues = np.mod(np.arange(256) + 180 * turn, 180).astype(np.uint8)  # OpenCV's hues are 0..179
    same = np.arange(256, dtype=np.uint8)
    turned = cv2.LUT(hsv, np.stack((hues, same, same), axis=-1)[None], dst=hsv)
    changed: np.ndarray = cv2.cvtColor(turned, cv2.COLOR_HSV2RGB, dst=turned)
    return changed


_CHANGES = {
    "brightness": adjust_brightness,
    "contrast": adjust_contrast,
    "saturation": adjust_saturation,
    "hue": adjust_hue,
}


class ColourJitter:
    """Changes brightness, contrast, saturation and hue in random order; a strength of 0 leaves one out.

    Args:
        brightness: the factor is uniform in 1 - brightness .. 1 + brightness, and not below 0.
        contrast: likewise.
        saturation: likewise.
        hue: the share of the circle is uniform in -hue .. hue.
        prob: with which each of them is applied, by a coin of its own.
    """

    def __init__(
        self, brightness: float = 0.0, contrast: float = 0.0, saturation: float = 0.0, hue: float = 0.0, prob: float = 1
    ) -> None:
        factors = {"brightness": brightness, "contrast": contrast, "saturation": saturation}
        ranges = {name: (max(0.0, 1 - strength), 1 + strength) for name, strength in factors.items() if strength}
        self.ranges = list({**ranges, **({"hue": (-hue, hue)} if hue else {})}.items())
        self.prob = prob

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Change an (H, W, 3) uint8 RGB image, which is left as it is."""
        for index in rng.permutation(len(self.ranges)):
            name, (low, high) = self.ranges[index]
            if rng.random() < self.prob:
                image = _CHANGES[name](image, rng.uniform(low, high))
        return image


def _look_up(image: np.ndarray, levels: np.ndarray) -> np.ndarray:
    changed: np.ndarray = cv2.LUT(image, levels.clip(0, 255).astype(np.uint8))
    return changed
