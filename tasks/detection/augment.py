"""Training views: crop, resize, mirror, colour jitter, after the paper's section 3.2 (docs/paper.md).

Legend: N boxes, x1, y1, x2, y2 in pixels of the image at hand.
"""

from __future__ import annotations

import cv2
import numpy as np

from umbel import ColourJitter, Geometry, Sample, Size, resize_image
from umbel.tasks.detection.options import DetectionOptions
from umbel.tasks.detection.prediction import BoxTarget

ATTEMPTS = 50

PAD = 128  # 127.5, rounded


class DetectionAugment:
    """Augments a sample to the network's input size; only the crop is resized."""

    def __init__(self, options: DetectionOptions, size: Size) -> None:
        self.options = options
        self.size = size
        self.jitter = ColourJitter(options.brightness, options.contrast, options.saturation, options.hue)

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """Returns a sample of the input size whose target may have lost boxes, or all of them."""
        options = self.options
        image, target = sample.image, sample.target
        if rng.random() >= options.no_crop_prob:
            x, y, width, height = self._crop_window(sample.size, target, rng)
            image = image[y : y + height, x : x + width]
            target = crop_boxes(target, x, y, width, height)
        image, target = self._resize(image, target)
        if rng.random() < options.hflip:
            image = cv2.flip(image, 1)
            x1, y1, x2, y2 = target.boxes_N4.T
            target = target.with_boxes(np.stack((image.shape[1] - x2, y1, image.shape[1] - x1, y2), axis=1))
        image = self.jitter(np.ascontiguousarray(image), rng)
        sides = target.boxes_N4[:, 2:] - target.boxes_N4[:, :2]
        return Sample(image, target.select((sides >= options.min_box_px).all(axis=1)), sample.id, sample.size)

    def _crop_window(self, size: Size, target: BoxTarget, rng: np.random.Generator) -> tuple[int, int, int, int]:
        """x, y, width and height of a crop that holds the centre of a box, where there is one."""
        boxes = target.boxes_N4[~target.crowd_N]
        if not len(boxes):
            return self._random_window(size, rng)
        centres = (boxes[:, :2] + boxes[:, 2:]) / 2
        for _ in range(ATTEMPTS):
            x, y, width, height = self._random_window(size, rng)
            if inside(centres, x, y, width, height).any():
                return x, y, width, height
        centre_x, centre_y = centres[rng.integers(len(centres))]
        x = int(np.clip(round(centre_x - width / 2), 0, size[1] - width))
        y = int(np.clip(round(centre_y - height / 2), 0, size[0] - height))
        return x, y, width, height

    def _random_window(self, size: Size, rng: np.random.Generator) -> tuple[int, int, int, int]:
        full_height, full_width = size
        scale = rng.uniform(self.options.crop_scale[0], self.options.crop_scale[1])
        low, high = np.clip(self.options.crop_aspect, scale**2, scale**-2)  # so that the crop fits into the image
        root = np.sqrt(rng.uniform(low, high))
        height = int(np.clip(round(full_height * scale / root), 1, full_height))
        width = int(np.clip(round(full_width * scale * root), 1, full_width))
        x = int(rng.integers(full_width - width + 1))
        y = int(rng.integers(full_height - height + 1))
        return x, y, width, height

    def _resize(self, image: np.ndarray, target: BoxTarget) -> tuple[np.ndarray, BoxTarget]:
        height, width = image.shape[:2]
        content = fit_into((height, width), self.size) if self.options.keep_ratio else self.size
        resized = resize_image(image, content)
        scale = np.array([content[1] / width, content[0] / height] * 2)
        if content != self.size:
            canvas = np.full((*self.size, 3), PAD, dtype=np.uint8)
            canvas[: content[0], : content[1]] = resized
            resized = canvas
        return resized, target.with_boxes(target.boxes_N4 * scale)


def fit_into(size: Size, frame: Size) -> Size:
    """Largest size of the same shape inside a frame, at least one pixel."""
    ratio = min(frame[0] / size[0], frame[1] / size[1])
    return (max(1, min(frame[0], round(size[0] * ratio))), max(1, min(frame[1], round(size[1] * ratio))))


def inside(centres_N2: np.ndarray, x: int, y: int, width: int, height: int) -> np.ndarray:
    """(N,) bool: the point lies in the window."""
    low = np.array([x, y])
    hit: np.ndarray = ((centres_N2 >= low) & (centres_N2 < low + np.array([width, height]))).all(axis=1)
    return hit


def crop_boxes(target: BoxTarget, x: int, y: int, width: int, height: int) -> BoxTarget:
    """Boxes whose centre lies in the window, clipped to it, in its frame."""
    centres = (target.boxes_N4[:, :2] + target.boxes_N4[:, 2:]) / 2
    kept = target.select(inside(centres, x, y, width, height))
    return kept.with_boxes(np.clip(kept.boxes_N4 - [x, y, x, y], 0, [width, height, width, height]))


def warp_boxes(target: BoxTarget, geometry: Geometry, min_box_px: float) -> BoxTarget:
    """Boxes whose centre lies in the view, clipped to it; those with a side below `min_box_px` are left out.

    A box is the upright one around its turned self, and so a little large after a rotation.
    """
    moved = target.with_boxes(geometry.warp_boxes(target.boxes_N4))
    height, width = geometry.size
    kept = crop_boxes(moved, 0, 0, width, height)
    sides = kept.boxes_N4[:, 2:] - kept.boxes_N4[:, :2]
    return kept.select((sides >= min_box_px).all(axis=1))
