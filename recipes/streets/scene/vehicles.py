"""Painting vehicles into a scene."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from umbel.recipes.streets.labels import VEHICLE
from umbel.recipes.streets.render.canvas import Canvas
from umbel.recipes.streets.render.lighting import Light, rgb
from umbel.recipes.streets.scene.solids import Face
from umbel.recipes.streets.scene.vehicle_shapes import VARIANTS, shape

_PAINTS = (
    (0.86, 0.87, 0.88), (0.10, 0.10, 0.11), (0.50, 0.52, 0.55), (0.70, 0.72, 0.74),
    (0.65, 0.08, 0.09), (0.10, 0.20, 0.48), (0.12, 0.30, 0.22), (0.80, 0.55, 0.10),
    (0.35, 0.24, 0.17), (0.75, 0.70, 0.58), (0.25, 0.45, 0.62), (0.30, 0.31, 0.34),
)  # fmt: skip

_LIVERIES = ((0.80, 0.12, 0.10), (0.92, 0.72, 0.12), (0.12, 0.35, 0.62), (0.20, 0.50, 0.30), (0.88, 0.88, 0.86))

_PLAIN = {"dark": 0.055, "tyre": 0.045, "rim": 0.52, "number": 0.82}


@dataclass(frozen=True)
class Vehicle:
    """A vehicle on the road.

    Args:
        kind: one of labels.VEHICLE_KINDS.
        faces: its shape.
        stretch: (3,) factors of its width, height and length.
        position: (3,) world point under its middle.
        heading: radians to the right of z; it drives that way.
        colours: (3,) by material.
        lit: its lamps are on.
        braking: its brake lights are on.
    """

    kind: str
    faces: tuple[Face, ...]
    stretch: np.ndarray
    position: np.ndarray
    heading: float
    colours: dict[str, tuple[float, float, float]]
    lit: bool
    braking: bool

    def to_world(self, points: np.ndarray) -> np.ndarray:
        """Points (N, 3) of the vehicle in the world."""
        placed: np.ndarray = self._turn(points * self.stretch) + self.position
        return placed

    def _turn(self, points: np.ndarray) -> np.ndarray:
        sin, cos = math.sin(self.heading), math.cos(self.heading)
        turned: np.ndarray = points @ np.array([[cos, 0.0, -sin], [0.0, 1.0, 0.0], [sin, 0.0, cos]])
        return turned

    def corners(self) -> np.ndarray:
        """Corners (8, 3) of its box in the world."""
        low, high = np.min([face.low for face in self.faces], 0), np.max([face.high for face in self.faces], 0)
        box = np.array([[x, y, z] for y in (low[1], high[1]) for x in (low[0], high[0]) for z in (low[2], high[2])])
        return self.to_world(box)

    def draw(self, canvas: Canvas, light: Light, instance: int) -> None:
        """Draw every face that looks at the camera."""
        if not canvas.camera.sees(self.corners()):
            return
        normals = self._turn(np.array([face.normal for face in self.faces]))
        ends = np.cumsum([len(face.corners) for face in self.faces])
        points = np.split(self.to_world(np.concatenate([face.corners for face in self.faces])), ends[:-1])
        towards = canvas.camera.position - np.array([corners[0] for corners in points])
        pixel = math.sqrt(towards[0] @ towards[0]) / canvas.camera.focal
        large = np.array([face.extent for face in self.faces]) > 3 * pixel  # smaller details are lost anyway
        for index in np.nonzero(((towards * normals).sum(1) > 0) & large)[0]:
            face, normal = self.faces[index], normals[index]
            canvas.polygon(points[index], self._paint(face, normal, light), VEHICLE, normal=normal, instance=instance)

    def _paint(self, face: Face, normal: np.ndarray, light: Light) -> np.ndarray:
        material = face.material
        if material == "head":
            return rgb(1.0, 0.98, 0.88, 1.0) if self.lit else light.paint(np.array([0.85, 0.87, 0.88]), normal)
        if material == "tail":
            if self.braking:
                return rgb(1.0, 0.10, 0.06, 1.0)
            return rgb(0.75, 0.05, 0.03, 0.8) if self.lit else light.paint(np.array([0.5, 0.04, 0.04]), normal)
        if material == "display":
            return rgb(0.95, 0.62, 0.1, 0.9)
        mirrored = light.horizon * 0.7 + light.zenith * 0.3
        if material == "glass":
            share = 0.11 + 0.34 * max(0.0, float(normal[1])) + 0.06 * float(normal[0])
            return rgb(*(np.array([0.05, 0.065, 0.08]) * light.ambient * 2 + mirrored * share))
        if material in _PLAIN:
            return light.paint(np.full(3, _PLAIN[material]), normal)
        base = np.array(self.colours.get(material, self.colours["body"]))
        gloss = 0.0 if material in ("jacket", "trousers") else 0.06 + 0.22 * max(0.0, float(normal[1])) ** 2
        low = 1.0 if normal[1] > 0.2 else 0.9
        return rgb(*np.clip(base * light.shade(normal) * low * (1 - gloss) + mirrored * gloss, 0, 1))


def random_vehicle(rng: np.random.Generator, kind: str, position: np.ndarray, heading: float, *, lit: bool) -> Vehicle:
    """A vehicle with random proportions and colours."""
    paint = _PAINTS[int(rng.integers(len(_PAINTS)))]
    livery = _LIVERIES[int(rng.integers(len(_LIVERIES)))]
    body = {"bus": livery, "van": paint if rng.random() < 0.5 else (0.88, 0.88, 0.87)}.get(kind, paint)
    cargo = (0.86, 0.86, 0.84) if rng.random() < 0.5 else _LIVERIES[int(rng.integers(len(_LIVERIES)))]
    shade = float(rng.uniform(0.8, 1.0))
    colours = {
        "body": (body[0] * shade, body[1] * shade, body[2] * shade),
        "cargo": cargo,
        "stripe": _PAINTS[int(rng.integers(len(_PAINTS)))],
        "jacket": _PAINTS[int(rng.integers(len(_PAINTS)))],
        "trousers": (0.12, 0.13, 0.2),
        "helmet": _LIVERIES[int(rng.integers(len(_LIVERIES)))],
    }
    faces = shape(kind, int(rng.integers(VARIANTS)))
    stretch = rng.uniform((0.95, 0.95, 0.94), (1.05, 1.06, 1.07))
    return Vehicle(
        kind=kind,
        faces=faces,
        stretch=stretch,
        position=position,
        heading=heading,
        colours=colours,
        lit=lit,
        braking=bool(rng.random() < 0.25),
    )
