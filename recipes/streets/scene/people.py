"""People on the sidewalks, as figures that face the camera."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from umbel.recipes.streets.labels import PERSON
from umbel.recipes.streets.render.canvas import Canvas
from umbel.recipes.streets.render.lighting import Light

_CLOTHES = (
    (0.75, 0.15, 0.15),
    (0.15, 0.25, 0.55),
    (0.85, 0.82, 0.75),
    (0.12, 0.12, 0.14),
    (0.25, 0.45, 0.3),
    (0.8, 0.6, 0.2),
    (0.45, 0.4, 0.5),
)

_TROUSERS = ((0.12, 0.15, 0.28), (0.1, 0.1, 0.11), (0.42, 0.38, 0.32), (0.3, 0.3, 0.33))

_SKINS = ((0.87, 0.68, 0.56), (0.66, 0.47, 0.36), (0.42, 0.29, 0.22))


@dataclass(frozen=True)
class Person:
    """Someone on foot: (3,) world point, height in metres, stride -1..1 and colours (3,)."""

    foot: np.ndarray
    height: float
    stride: float
    coat: tuple[float, float, float]
    trousers: tuple[float, float, float]
    skin: tuple[float, float, float]

    def draw(self, canvas: Canvas, light: Light) -> None:
        x, y, depth = canvas.camera.project(self.foot)
        if depth < 1.5:
            return
        size = self.height * canvas.camera.focal / depth
        if size < 5 or x + size < 0 or x - size > canvas.camera.columns:
            return
        rows, columns = round(size) + 2, max(4, round(size * 0.6))
        picture, mask = np.zeros((rows, columns, 4), np.float32), np.zeros((rows, columns), np.uint8)
        lit = light.ambient + light.direct * 0.5

        def part(points: list[tuple[float, float]], colour: tuple[float, float, float], shade: float = 1.0) -> None:
            outline = [np.round((np.array(points) * size + (columns / 2, 0)) * 8).astype(np.int32)]
            cv2.fillPoly(picture, outline, tuple(np.clip(np.array(colour) * lit * shade, 0, 1)), shift=3)
            cv2.fillPoly(mask, outline, 255, shift=3)

        step = self.stride * 0.13
        for reach, shade in ((-step, 0.7), (step, 1.0)):
            part([(-0.05, 0.48), (0.055, 0.48), (reach + 0.03, 0.97), (reach - 0.035, 0.97)], self.trousers, shade)
            part(
                [
                    (reach - 0.035, 0.96),
                    (reach + 0.07 * np.sign(self.stride), 0.97),
                    (reach + 0.04, 1.0),
                    (reach - 0.035, 1.0),
                ],
                (0.1, 0.09, 0.09),
            )
        part([(-0.09, 0.18), (0.0, 0.155), (0.09, 0.18), (0.075, 0.53), (-0.075, 0.53)], self.coat)
        part([(0.06, 0.19), (0.1, 0.2), (0.09 + step, 0.5), (0.05 + step, 0.5)], self.coat, 0.8)
        part([(-0.1, 0.2), (-0.06, 0.19), (-0.05 - step, 0.5), (-0.09 - step, 0.5)], self.coat, 0.85)
        ring = np.linspace(0, 2 * np.pi, 10, endpoint=False)
        part([(0.045 * np.cos(a), 0.085 + 0.068 * np.sin(a)) for a in ring], self.skin)
        part([(0.048 * np.cos(a), 0.065 + 0.055 * np.sin(a)) for a in ring if np.sin(a) < 0.3], (0.16, 0.11, 0.08))
        canvas.stamp((round(x - columns / 2), round(y - size)), picture, mask > 0, depth, PERSON)


def random_person(rng: np.random.Generator, foot: np.ndarray) -> Person:
    """Someone of random size and clothes."""
    return Person(
        foot=foot,
        height=float(rng.uniform(1.5, 1.88)),
        stride=float(rng.choice([-1, 1]) * rng.uniform(0.2, 1.0)),
        coat=_CLOTHES[int(rng.integers(len(_CLOTHES)))],
        trousers=_TROUSERS[int(rng.integers(len(_TROUSERS)))],
        skin=_SKINS[int(rng.integers(len(_SKINS)))],
    )
