"""Thin upright things: sign posts, lamp posts, backbones, bollards."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from umbel.recipes.streets.labels import POLE
from umbel.recipes.streets.render.camera import above
from umbel.recipes.streets.render.canvas import Canvas
from umbel.recipes.streets.render.lighting import Light, rgb


def draw_post(
    canvas: Canvas,
    foot: np.ndarray,
    height: float,
    *,
    radius: float,
    colour: np.ndarray,
    light: Light,
    label: int = POLE,
) -> None:
    """A round post: three strips that face the camera, the one towards the sun the brightest."""
    towards = canvas.camera.position - foot
    side = np.array([towards[2], 0.0, -towards[0]])
    side /= max(float(np.linalg.norm(side)), 1e-6)
    front = np.array([-side[2], 0.0, side[0]])
    front *= np.sign(front @ towards) or 1.0
    rise = np.array([0.0, height, 0.0])
    thin = radius * canvas.camera.focal < 1.2 * float(np.linalg.norm(towards))  # under three pixels
    for start, end in ((-1.0, 1.0),) if thin else ((-1.0, -0.35), (-0.35, 0.4), (0.4, 1.0)):
        lean = (start + end) / 2
        normal = front * (1 - abs(lean)) + side * lean
        left, right = foot + side * start * radius, foot + side * end * radius
        paint = light.paint(colour, normal / np.linalg.norm(normal))
        canvas.polygon(np.stack([left, right, right + rise, left + rise]), paint, label, normal=front)


@dataclass(frozen=True)
class Lamp:
    """A street lamp.

    Args:
        foot: (3,) world point.
        height: metres.
        arm: (3,) from the top of the post to the lamp head.
    """

    foot: np.ndarray
    height: float
    arm: np.ndarray

    @property
    def head(self) -> np.ndarray:
        """(3,) world point of the light."""
        hung: np.ndarray = above(self.foot, self.height) + self.arm
        return hung

    def draw(self, canvas: Canvas, light: Light) -> None:
        steel = np.array([0.36, 0.38, 0.40])
        draw_post(canvas, self.foot, self.height, radius=0.055, colour=steel, light=light)
        draw_post(canvas, self.foot, 1.1, radius=0.085, colour=steel * 0.85, light=light)
        top = above(self.foot, self.height)
        thick = np.array([0.0, 0.09, 0.0])
        canvas.polygon(
            np.stack([top, self.head, self.head + thick, top + thick]), light.paint(steel, -self._side()), POLE
        )
        along = self.arm / np.linalg.norm(self.arm) * 0.45
        across = self._side() * 0.16
        paint = rgb(1.0, 0.88, 0.6, 1.0) if light.lamps_lit else light.paint(steel * 1.5, np.array([0.0, -1.0, 0.0]))
        middle = self.head
        foot = [middle - along - across, middle + along - across, middle + along + across, middle - along + across]
        canvas.polygon(np.stack(foot), paint, POLE)
        for edge in (across, -across):
            side = np.stack(
                [
                    middle - along + edge,
                    middle + along + edge,
                    middle + along + edge + thick * 1.6,
                    middle - along + edge + thick * 1.6,
                ]
            )
            canvas.polygon(side, paint if light.lamps_lit else light.paint(steel, edge / 0.16), POLE)

    def _side(self) -> np.ndarray:
        along = self.arm / np.linalg.norm(self.arm)
        return np.array([along[2], 0.0, -along[0]])
