"""Training augmentation of image and labels together, after the paper's section 3.2 (docs/paper.md).

Scale, rotation, padding, crop and flip are one affine map from the crop straight to the stored image, so the cost
depends on the crop's size alone and the image is interpolated once.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from umbel import ColourJitter, Size
from umbel.tasks.segmentation.options import SegmentationOptions

GREY = (128, 128, 128)  # 127.5, the middle of the range, in uint8


@dataclass(frozen=True)
class Geometry:
    """One draw of the geometric part.

    Args:
        scale: factor on height and width.
        angle: rotation in degrees, counter-clockwise.
        corner: where the crop's top left lies in the rotated canvas, as fractions (y, x) of the room there is.
        hflip: mirror the crop left-right.
    """

    scale: float
    angle: float
    corner: tuple[float, float]
    hflip: bool

    def matrix(self, size: Size, crop: Size) -> np.ndarray:
        """(2, 3) affine map from pixel indices of an image of `size` to pixel indices of the crop.

        The rotated canvas is as large as the whole rotated image needs; a canvas smaller than the crop is padded
        bottom and right.
        """
        height, width = (max(1, round(self.scale * side)) for side in size)
        radians = np.deg2rad(self.angle)
        cos, sin = np.cos(radians), np.sin(radians)
        canvas_width = int(np.ceil(width * abs(cos) + height * abs(sin) - 1e-6))
        canvas_height = int(np.ceil(width * abs(sin) + height * abs(cos) - 1e-6))
        top = int(self.corner[0] * (max(canvas_height - crop[0], 0) + 1))
        left = int(self.corner[1] * (max(canvas_width - crop[1], 0) + 1))
        to_scaled = np.diag([width / size[1], height / size[0], 1.0]) @ _shift(0.5, 0.5)  # index to pixel centre
        rotate = np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]])
        to_canvas = _shift(canvas_width / 2, canvas_height / 2) @ rotate @ _shift(-width / 2, -height / 2)
        mirror = np.array([[-1.0, 0.0, crop[1]], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]) if self.hflip else np.eye(3)
        whole: np.ndarray = _shift(-0.5, -0.5) @ mirror @ _shift(-left, -top) @ to_canvas @ to_scaled
        return whole[:2]


def _shift(x: float, y: float) -> np.ndarray:
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]])


class Augmenter:
    """Random crops of one size.

    Args:
        options: ranges and probabilities.
        crop: height and width of the result.
    """

    def __init__(self, options: SegmentationOptions, crop: Size) -> None:
        self.options = options
        self.crop = crop
        self.jitter = ColourJitter(
            options.brightness, options.contrast, options.saturation, options.hue / 180, options.jitter_prob
        )

    def __call__(
        self, image: np.ndarray, labels: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Augment (H, W, 3) uint8 and (H, W) uint8; both come back in the crop's size, labels never interpolated."""
        matrix = self.draw_geometry(rng).matrix((image.shape[0], image.shape[1]), self.crop)
        size = (self.crop[1], self.crop[0])
        ignore = self.options.ignore_index
        image = cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR, borderValue=GREY)
        labels = cv2.warpAffine(labels, matrix, size, flags=cv2.INTER_NEAREST, borderValue=ignore)
        return self._blur(self.jitter(image, rng), rng), labels

    def draw_geometry(self, rng: np.random.Generator) -> Geometry:
        """Draw scale, rotation, crop and flip."""
        options = self.options
        low, high = options.scale
        if options.scale_step > 0:
            steps = int((high - low) / options.scale_step + 1e-6)
            scale = low + options.scale_step * int(rng.integers(steps + 1))
        else:
            scale = float(rng.uniform(low, high))
        angle = float(rng.uniform(-options.rotation, options.rotation))
        corner = (float(rng.random()), float(rng.random()))
        return Geometry(scale, angle, corner, bool(rng.random() < options.hflip))

    def _blur(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        low, high = self.options.blur_kernel
        kernel = low + 2 * int(rng.integers((high - low) // 2 + 1))
        if rng.random() >= self.options.blur_prob:
            return image
        blurred: np.ndarray = cv2.GaussianBlur(image, (kernel, kernel), 0)  # 0: OpenCV's sigma for this kernel
        return blurred
