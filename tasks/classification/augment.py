"""Training augmentation of images. SPEC section 11."""

from __future__ import annotations

import math

import albumentations as A
import cv2
import numpy as np

from umbel import Size, apply_keyed
from umbel.tasks.classification.options import ClassificationOptions

# of ImageNet in 0..255: erased pixels are standard normal after the usual normalisation
MEAN = np.array([123.675, 116.28, 103.53], np.float32)
STD = np.array([58.395, 57.12, 57.375], np.float32)
ERASE_ATTEMPTS = 10  # as in timm


class Augmenter:
    """Resize without keeping the aspect, flip, jitter colours, erase a rectangle.

    Args:
        options: ranges and probabilities.
        size: height and width of the result.
    """

    def __init__(self, options: ClassificationOptions, size: Size) -> None:
        self.options = options
        self.pipeline = _pipeline(options, size)

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Augment an (H, W, 3) uint8 image; it comes back in `size`."""
        image = apply_keyed(self.pipeline, rng, {"image": image})["image"]
        if rng.random() < self.options.erase_prob:
            image = erase(image, rng, self.options.erase_area, self.options.erase_ratio)
        return image


def erase(image: np.ndarray, rng: np.random.Generator, area: list[float], ratio: list[float]) -> np.ndarray:
    """Replace a random rectangle by noise (Zhong et al. 2020, drawn as in timm with mode "pixel").

    Args:
        image: (H, W, 3) uint8, left as it is.
        rng: the sample's generator.
        area: range of the rectangle's share of the image.
        ratio: range of its height / width, uniform in the logarithm.

    Returns:
        (H, W, 3) uint8; unchanged when ten draws in a row do not fit.
    """
    height, width = image.shape[:2]
    for _ in range(ERASE_ATTEMPTS):
        pixels = rng.uniform(area[0], area[1]) * height * width
        aspect = math.exp(rng.uniform(math.log(ratio[0]), math.log(ratio[1])))
        rows, columns = round(math.sqrt(pixels * aspect)), round(math.sqrt(pixels / aspect))
        if 0 < rows < height and 0 < columns < width:
            top, left = int(rng.integers(height - rows + 1)), int(rng.integers(width - columns + 1))
            noise = rng.standard_normal((rows, columns, 3), np.float32) * STD + MEAN
            erased = image.copy()
            erased[top : top + rows, left : left + columns] = noise.round().clip(0, 255)
            return erased
    return image


def _pipeline(options: ClassificationOptions, size: Size) -> A.Compose:
    if tuple(options.crop_scale) == (1.0, 1.0):
        resize = A.Resize(*size, interpolation=cv2.INTER_CUBIC)
    else:
        low, high = options.crop_scale
        ratio = (options.crop_ratio[0], options.crop_ratio[1])
        resize = A.RandomResizedCrop(size, scale=(low, high), ratio=ratio, interpolation=cv2.INTER_CUBIC)
    ranges = {
        name: (1 - getattr(options, name), 1 + getattr(options, name))
        for name in ("saturation", "brightness", "contrast")
    }
    jitter = A.ColorJitter(**ranges, hue=(0.0, 0.0), p=options.jitter_prob)
    return A.Compose([resize, A.HorizontalFlip(p=options.hflip), jitter])
