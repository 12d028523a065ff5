"""Training augmentation of images, after the paper's section 3.2 (docs/paper.md)."""

from __future__ import annotations

import math
from functools import cache

import albumentations as A
import cv2
import numpy as np
from scipy.special import ndtri

from umbel import ColourJitter, Size, apply_keyed, resize_image
from umbel.tasks.classification.options import ClassificationOptions

# of ImageNet in 0..255: erased pixels are standard normal after the usual normalisation
MEAN = np.array([123.675, 116.28, 103.53], np.float32)

STD = np.array([58.395, 57.12, 57.375], np.float32)

ERASE_ATTEMPTS = 10  # as in timm

QUANTILES = 65536  # every grey level has its probability to within 1 / QUANTILES


class Augmenter:
    """Resize without keeping the aspect, flip, jitter colours, erase a rectangle.

    Args:
        options: ranges and probabilities.
        size: height and width of the result.
    """

    def __init__(self, options: ClassificationOptions, size: Size) -> None:
        self.options = options
        self.size = size
        self.crop = _random_crop(options, size)
        self.jitter = ColourJitter(options.brightness, options.contrast, options.saturation)

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Augment an (H, W, 3) uint8 image; it comes back in `size`."""
        if self.crop is None:
            image = resize_image(image, self.size, "bicubic")
        else:
            image = apply_keyed(self.crop, rng, {"image": image})["image"]
        if rng.random() < self.options.hflip:
            image = cv2.flip(image, 1)
        if rng.random() < self.options.jitter_prob:
            image = self.jitter(image, rng)
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
            erased = image.copy()
            erased[top : top + rows, left : left + columns] = _noise(rows, columns, rng)
            return erased
    return image


def _noise(rows: int, columns: int, rng: np.random.Generator) -> np.ndarray:
    """(rows, columns, 3) uint8, normal with MEAN and STD, rounded and clipped to 0..255."""
    draws = rng.integers(QUANTILES, size=(3, rows, columns), dtype=np.uint16)
    levels = _noise_levels()
    noise: np.ndarray = cv2.merge([levels[channel].take(draws[channel]) for channel in range(3)])
    return noise


@cache
def _noise_levels() -> np.ndarray:
    """(3, QUANTILES) uint8: grey levels of equal probability, so that noise is looked up and not computed."""
    quantiles = ndtri((np.arange(QUANTILES) + 0.5) / QUANTILES)
    levels: np.ndarray = (quantiles * STD[:, None] + MEAN[:, None]).round().clip(0, 255).astype(np.uint8)
    return levels


def _random_crop(options: ClassificationOptions, size: Size) -> A.Compose | None:
    """A random crop that is resized; None where it is always the whole image."""
    if tuple(options.crop_scale) == (1.0, 1.0):
        return None
    low, high = options.crop_scale
    ratio = (options.crop_ratio[0], options.crop_ratio[1])
    return A.Compose([A.RandomResizedCrop(size, scale=(low, high), ratio=ratio, interpolation=cv2.INTER_CUBIC)])
