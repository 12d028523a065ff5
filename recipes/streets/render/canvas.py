"""Drawing into colour, depth, label and instance buffers at once, so that they agree to the pixel.

Visibility is a depth test on exact inverse depth: on a plane, 1 / depth is affine in the pixel coordinates.
Colour buffers hold red, green, blue in 0..1 and glow: the share of a pixel that shines by itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np

from umbel.recipes.streets.labels import SKY
from umbel.recipes.streets.render.camera import NEAR, Camera, cross

Shader = Callable[[np.ndarray, np.ndarray], np.ndarray]

"""world points (P, 3), depth (P,) -> colours (P, 4)"""

_SHIFT = 3  # fractional bits of fillPoly's coordinates


class Canvas:
    """Buffers of the picture of one camera.

    Attributes:
        colour: (H, W, 4) float32.
        inverse_depth: (H, W) float32 in 1/m; 0 is infinitely far.
        labels: (H, W) uint8 class ids.
        instances: (H, W) int16; 0 is none.
    """

    def __init__(self, camera: Camera) -> None:
        self.camera = camera
        shape = (camera.rows, camera.columns)
        self.colour = np.zeros((*shape, 4), np.float32)
        self.inverse_depth = np.zeros(shape, np.float32)
        self.labels = np.full(shape, SKY, np.uint8)
        self.instances = np.zeros(shape, np.int16)
        self._xs = np.arange(camera.columns, dtype=np.float32)
        self._ys = np.arange(camera.rows, dtype=np.float32)

    def polygon(
        self,
        corners: np.ndarray,
        paint: np.ndarray | Shader,
        label: int,
        *,
        normal: np.ndarray | None = None,
        instance: int = 0,
    ) -> None:
        """Draw a flat polygon.

        Args:
            corners: (N, 3) world points in one plane.
            paint: a colour (4,) or a shader.
            label: class id.
            normal: (3,) its normal; taken from the first three corners if None.
            instance: id in the instance map; 0 for none.
        """
        outline = self.outline(corners)
        if outline is None:
            return
        left, top, right, bottom = _bounds(outline, self.labels.shape)
        if right <= left or bottom <= top:
            return
        if normal is None:
            normal = cross(corners[1] - corners[0], corners[2] - corners[0])
        plane = self.camera.inverse_depth(corners[0], normal)
        if plane is None:
            return
        window = (slice(top, bottom), slice(left, right))
        a, b, c = plane
        inverse = np.float32(a) * self._xs[left:right] + (np.float32(b) * self._ys[top:bottom] + np.float32(c))[:, None]
        mask = np.zeros(inverse.shape, np.uint8)
        fill(mask, outline - (left, top))
        visible = (mask > 0) & (inverse > self.inverse_depth[window])
        if callable(paint):
            rows, columns = np.nonzero(visible)
            if not len(rows):
                return
            found = inverse[rows, columns]
            depth = 1 / found
            world = self.camera.unproject(self._xs[left:right][columns], self._ys[top:bottom][rows], depth)
            self.put((rows + top, columns + left), paint(world, depth), found, label, instance)
        else:
            np.copyto(self.inverse_depth[window], inverse, where=visible)
            self.colour[window][visible] = paint
            self.labels[window][visible] = label
            self.instances[window][visible] = instance

    def stamp(self, corner: tuple[int, int], picture: np.ndarray, mask: np.ndarray, depth: float, label: int) -> None:
        """Put a flat picture that faces the camera at one depth.

        Args:
            corner: x, y of its upper left pixel; may lie outside.
            picture: (h, w, 4) colours.
            mask: (h, w) bool, where it is opaque.
            depth: metres.
            label: class id.
        """
        height, width = mask.shape
        left, top = max(corner[0], 0), max(corner[1], 0)
        right, bottom = min(corner[0] + width, self.camera.columns), min(corner[1] + height, self.camera.rows)
        if right <= left or bottom <= top or depth < NEAR:
            return
        window = (slice(top, bottom), slice(left, right))
        inside = (slice(top - corner[1], bottom - corner[1]), slice(left - corner[0], right - corner[0]))
        visible = mask[inside] & (np.float32(1 / depth) > self.inverse_depth[window])
        self.inverse_depth[window][visible] = 1 / depth
        self.colour[window][visible] = picture[inside][visible]
        self.labels[window][visible] = label
        self.instances[window][visible] = 0

    def put(
        self,
        where: tuple[np.ndarray, ...],
        colours: np.ndarray,
        inverse: np.ndarray | np.float32,
        label: np.ndarray | int,
        instance: int,
    ) -> None:
        """Write pixels that passed the depth test.

        Args:
            where: rows and columns (P,).
            colours: (P, 4).
            inverse: inverse depths (P,) or one.
            label: class ids (P,) or one.
            instance: id in the instance map.
        """
        self.colour[where] = colours
        self.inverse_depth[where] = inverse
        self.labels[where] = label
        self.instances[where] = instance

    def outline(self, corners: np.ndarray) -> np.ndarray | None:
        """Pixels (M, 2) of a world polygon (N, 3) cut at the near plane and to the picture; None if nothing is left."""
        seen = self.camera.to_camera(corners)
        depths = seen[:, 2].tolist()  # of few numbers, Python finds the smallest sooner than numpy
        if min(depths) < NEAR:
            if max(depths) < NEAR:
                return None
            seen = _clip(seen, np.array([0.0, 0.0, 1.0, -NEAR]))
        pixels = self.camera.to_pixels(seen)
        numbers = pixels.ravel().tolist()
        if max(numbers) > 6000 or min(numbers) < -6000:  # beyond what fixed-point filling holds
            slope_x = self.camera.columns / self.camera.focal
            slope_y = self.camera.rows / self.camera.focal
            for side in ([1, 0, slope_x, 0], [-1, 0, slope_x, 0], [0, 1, slope_y, 0], [0, -1, slope_y, 0]):
                seen = _clip(seen, np.array(side, dtype=float))
                if len(seen) < 3:
                    return None
            pixels = self.camera.to_pixels(seen)
        return pixels if len(pixels) >= 3 else None


def fill(mask: np.ndarray, outline: np.ndarray, value: int = 255) -> None:
    """Fill a polygon (N, 2) of pixel coordinates in a uint8 mask."""
    cv2.fillPoly(mask, [np.round(outline * (1 << _SHIFT)).astype(np.int32)], value, shift=_SHIFT)


def _bounds(outline: np.ndarray, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    xs, ys = outline.T.tolist()
    left, top = max(math.floor(min(xs)), 0), max(math.floor(min(ys)), 0)
    return left, top, min(math.ceil(max(xs)) + 1, shape[1]), min(math.ceil(max(ys)) + 1, shape[0])


def _clip(points: np.ndarray, side: np.ndarray) -> np.ndarray:
    """Sutherland-Hodgman against one plane: keep side[:3] . p + side[3] >= 0."""
    distances = points @ side[:3] + side[3]
    kept: list[np.ndarray] = []
    for index, distance in enumerate(distances):
        before = distances[index - 1]
        if (before >= 0) != (distance >= 0):
            share = before / (before - distance)
            kept.append(points[index - 1] + share * (points[index] - points[index - 1]))
        if distance >= 0:
            kept.append(points[index])
    return np.array(kept).reshape(-1, 3)
