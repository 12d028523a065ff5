"""A pinhole camera over the ground plane.

World axes in metres: x right, y up (ground at 0), z forward along the road. Camera axes: right, down, forward.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

NEAR = 0.4  # metres; what is closer is cut off


def above(point: np.ndarray, height: float) -> np.ndarray:
    """The world points (..., 3) higher up."""
    raised: np.ndarray = point + np.array([0.0, height, 0.0])
    return raised


def cross(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Cross product of two vectors (3,); a tenth of the time of numpy's, which is written for arrays of them."""
    (a, b, c), (x, y, z) = first.tolist(), second.tolist()
    return np.array([b * z - c * y, c * x - a * z, a * y - b * x])


@dataclass(frozen=True)
class Camera:
    """Where the camera is and what it sees; pixel units are those of the supersampled picture.

    Args:
        rows, columns: size of the picture in pixels.
        focal: focal length in pixels.
        position: (3,) world position in metres.
        axes: (3, 3) rows are the camera's right, down and forward directions in the world.
    """

    rows: int
    columns: int
    focal: float
    position: np.ndarray
    axes: np.ndarray

    @classmethod
    def aimed(
        cls,
        size: tuple[int, int],
        *,
        field_of_view: float,
        position: tuple[float, float, float],
        yaw: float = 0.0,
        pitch: float = 0.0,
        roll: float = 0.0,
    ) -> Camera:
        """A camera by angles in radians: yaw to the right, pitch downwards; the field of view is horizontal."""
        sin_yaw, cos_yaw, sin_pitch, cos_pitch = math.sin(yaw), math.cos(yaw), math.sin(pitch), math.cos(pitch)
        forward = np.array([sin_yaw * cos_pitch, -sin_pitch, cos_yaw * cos_pitch])
        level = np.array([cos_yaw, 0.0, -sin_yaw])
        down = -np.cross(forward, level)
        right = math.cos(roll) * level + math.sin(roll) * down
        down = math.cos(roll) * down - math.sin(roll) * level
        focal = size[1] / 2 / math.tan(field_of_view / 2)
        return cls(size[0], size[1], focal, np.array(position), np.stack([right, down, forward]))

    @property
    def centre(self) -> tuple[float, float]:
        """Principal point (x, y); integer coordinates are pixel centres."""
        return (self.columns - 1) / 2, (self.rows - 1) / 2

    def sees(self, points: np.ndarray) -> bool:
        """Whether the box around world points (N, 3) can reach into the picture."""
        seen = self.to_camera(points)
        if seen[:, 2].min() < NEAR:
            return bool(seen[:, 2].max() > NEAR)
        pixels = self.to_pixels(seen)
        low, high = pixels.min(0), pixels.max(0)
        return bool(high[0] >= 0 and high[1] >= 0 and low[0] < self.columns and low[1] < self.rows)

    def to_camera(self, points: np.ndarray) -> np.ndarray:
        """World points (N, 3) in camera axes (N, 3)."""
        seen: np.ndarray = (points - self.position) @ self.axes.T
        return seen

    def to_pixels(self, seen: np.ndarray) -> np.ndarray:
        """Points (N, 3) in camera axes, all in front of the camera, as pixels (N, 2)."""
        pixels: np.ndarray = seen[:, :2] * (self.focal / seen[:, 2:]) + self.centre
        return pixels

    def project(self, point: np.ndarray) -> tuple[float, float, float]:
        """Pixel x, y and depth in metres of one world point (3,); x and y mean something only for a depth > 0."""
        seen = self.to_camera(np.asarray(point, dtype=float)[None])
        depth = float(seen[0, 2])
        x, y = self.to_pixels(seen)[0] if depth > 1e-6 else (math.nan, math.nan)
        return float(x), float(y), depth

    def inverse_depth(self, point: np.ndarray, normal: np.ndarray) -> tuple[float, float, float] | None:
        """Coefficients (a, b, c) with 1 / depth = a x + b y + c on a plane, exact in perspective.

        Args:
            point: (3,) a world point of the plane.
            normal: (3,) its normal in the world.

        Returns:
            None if the camera lies in the plane.
        """
        facing = self.axes @ normal
        distance = float((point - self.position) @ normal)
        if abs(distance) < 1e-6:
            return None
        a, b = facing[0] / self.focal / distance, facing[1] / self.focal / distance
        centre_x, centre_y = self.centre
        return float(a), float(b), float(facing[2] / distance - a * centre_x - b * centre_y)

    def unproject(self, x: np.ndarray, y: np.ndarray, depth: np.ndarray) -> np.ndarray:
        """World points (P, 3) float32 of pixels x, y (P,) at a depth in metres (P,)."""
        centre_x, centre_y = self.centre
        axes = self.axes.astype(np.float32)
        seen = np.empty((len(depth), 3), np.float32)
        seen[:, 0] = (x - np.float32(centre_x)) * depth
        seen[:, 1] = (y - np.float32(centre_y)) * depth
        seen[:, :2] /= np.float32(self.focal)
        seen[:, 2] = depth
        world: np.ndarray = seen @ axes
        world += self.position.astype(np.float32)
        return world
