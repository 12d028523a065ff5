"""Building blocks of vehicles: flat faces in metres, x to the vehicle's right, y up, z to its front."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from umbel.recipes.streets.render.camera import cross

Profile = list[tuple[float, float]]

"""side view: (z, y) of the corners"""


@dataclass(frozen=True)
class Face:
    """A flat polygon (N, 3) with its outward unit normal (3,) and what it is made of."""

    corners: np.ndarray
    normal: np.ndarray
    material: str

    @cached_property
    def low(self) -> np.ndarray:
        """(3,) the smallest coordinates."""
        smallest: np.ndarray = self.corners.min(0)
        return smallest

    @cached_property
    def high(self) -> np.ndarray:
        """(3,) the largest coordinates."""
        largest: np.ndarray = self.corners.max(0)
        return largest

    @cached_property
    def extent(self) -> float:
        """Its longest side in metres."""
        return float((self.high - self.low).max())


def flat_face(points: list[tuple[float, float, float]] | np.ndarray, material: str, outward: np.ndarray) -> Face:
    corners = np.asarray(points, dtype=float)
    normal = cross(corners[1] - corners[0], corners[2] - corners[0])
    normal = normal / max(math.sqrt(normal @ normal), 1e-9)
    return Face(corners, normal if normal @ outward >= 0 else -normal, material)


def prism(profile: Profile, half: float, material: str, centre_x: float = 0.0) -> list[Face]:
    """A side view drawn out to both sides."""
    middle = np.array([centre_x, *np.mean([(y, z) for z, y in profile], axis=0)])
    faces = []
    for side in (-1.0, 1.0):
        points = [(centre_x + side * half, y, z) for z, y in profile]
        faces.append(flat_face(points, material, np.array([side, 0.0, 0.0])))
    for (z, y), (next_z, next_y) in zip(profile, profile[1:] + profile[:1], strict=True):
        points = [
            (centre_x - half, y, z),
            (centre_x + half, y, z),
            (centre_x + half, next_y, next_z),
            (centre_x - half, next_y, next_z),
        ]
        faces.append(flat_face(points, material, np.array(points).sum(0) / 4 - middle))
    return faces


def box(x: tuple[float, float], y: tuple[float, float], z: tuple[float, float], material: str) -> list[Face]:
    profile = [(z[0], y[0]), (z[0], y[1]), (z[1], y[1]), (z[1], y[0])]
    return prism(profile, (x[1] - x[0]) / 2, material, (x[0] + x[1]) / 2)


def inset(face: Face, share: float, material: str) -> Face:
    """The face shrunk towards its middle and lifted a little."""
    middle = face.corners.mean(0)
    return Face(middle + (face.corners - middle) * share + face.normal * 0.012, face.normal, material)


def cabin(
    base: tuple[float, float], roof: tuple[float, float], y: tuple[float, float], half: float, lean: float
) -> list[Face]:
    """Body above the belt line: z of base and roof (rear, front), heights, half width and how far the sides lean in."""
    low = [(-half, y[0], base[0]), (half, y[0], base[0]), (half, y[0], base[1]), (-half, y[0], base[1])]
    top = half - lean
    high = [(-top, y[1], roof[0]), (top, y[1], roof[0]), (top, y[1], roof[1]), (-top, y[1], roof[1])]
    middle = np.mean(low + high, axis=0)
    faces = [flat_face(high, "body", np.array([0.0, 1.0, 0.0]))]
    for index in range(4):
        after = (index + 1) % 4
        quad = [low[index], low[after], high[after], high[index]]
        face = flat_face(quad, "body", np.mean(quad, axis=0) - middle)
        if index % 2 == 0:
            faces += [face, inset(face, 0.88, "glass")]
        else:  # a side has a pillar between two panes
            faces.append(face)
            corners = face.corners
            for start, end in ((0.05, 0.48), (0.53, 0.95)):
                pane = np.stack(
                    [
                        corners[0] + (corners[1] - corners[0]) * start,
                        corners[0] + (corners[1] - corners[0]) * end,
                        corners[3] + (corners[2] - corners[3]) * end,
                        corners[3] + (corners[2] - corners[3]) * start,
                    ]
                )
                centre = pane.mean(0)
                pane = centre + (pane - centre) * (1.0, 0.8, 1.0)
                slope = face.normal
                pane = pane - ((pane - corners[0]) @ slope)[:, None] * slope + slope * 0.012
                faces.append(Face(pane, slope, "glass"))
    return faces


def wheels(axles: tuple[float, ...], half: float, radius: float) -> list[Face]:
    """Wheels on both sides: tyre, rim and the tread seen from the front and the rear."""
    angles = np.linspace(0, 2 * np.pi, 14, endpoint=False)
    circle = np.stack([np.zeros(14), np.sin(angles), np.cos(angles)], axis=1)
    faces = []
    for z in axles:
        for side in (-1.0, 1.0):
            outward = np.array([side, 0.0, 0.0])
            hub = np.array([side * (half + 0.015), radius, z])
            faces.append(Face(hub + circle * radius * 1.18 - outward * 0.008 + (0, 0.02, 0), outward, "dark"))
            faces.append(Face(hub + circle * radius, outward, "tyre"))
            faces.append(Face(hub + circle * radius * 0.62 + outward * 0.012, outward, "rim"))
            faces.append(Face(hub + circle * radius * 0.2 + outward * 0.024, outward, "dark"))
            across = ordered(side * (half - 0.2), side * half)
            for way in (-1.0, 1.0):
                end = z + way * radius * 0.85
                tread = [
                    (across[0], 0.0, end),
                    (across[1], 0.0, end),
                    (across[1], radius, end),
                    (across[0], radius, end),
                ]
                faces.append(flat_face(tread, "tyre", np.array([0.0, 0.0, way])))
    return faces


def ordered(first: float, second: float) -> tuple[float, float]:
    return min(first, second), max(first, second)


def plate(x: tuple[float, float], y: tuple[float, float], z: float, material: str) -> Face:
    """An upright rectangle facing front (z > 0) or rear."""
    points = [(x[0], y[0], z), (x[1], y[0], z), (x[1], y[1], z), (x[0], y[1], z)]
    return flat_face(points, material, np.array([0.0, 0.0, z]))


def pane(side: float, half: float, y: tuple[float, float], z: tuple[float, float], material: str) -> Face:
    """A rectangle on a flank: side is -1 or 1."""
    x = side * (half + 0.012)
    points = [(x, y[0], z[0]), (x, y[0], z[1]), (x, y[1], z[1]), (x, y[1], z[0])]
    return flat_face(points, material, np.array([side, 0.0, 0.0]))


def lights(half: float, front: float, rear: float, y: tuple[float, float], wide: float) -> list[Face]:
    """Head lamps, tail lamps and number plates."""
    faces = []
    for side in (-1, 1):
        x = ordered(side * (half - 0.06), side * (half - 0.06 - wide))
        faces += [plate(x, y, front, "head"), plate(x, (y[0], y[1] + 0.04), rear, "tail")]
    low = y[0] - 0.26
    faces += [
        plate((-0.26, 0.26), (low, low + 0.13), front, "number"),
        plate((-0.26, 0.26), (low, low + 0.13), rear, "number"),
    ]
    return faces
