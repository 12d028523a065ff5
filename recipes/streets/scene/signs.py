"""Traffic signs on posts and traffic lights on masts."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from umbel.recipes.streets.labels import POLE, TRAFFIC_SIGN
from umbel.recipes.streets.render.camera import above
from umbel.recipes.streets.render.canvas import Canvas
from umbel.recipes.streets.render.lighting import Light
from umbel.recipes.streets.scene.posts import draw_post
from umbel.recipes.streets.scene.sign_faces import SIDE, VARIANTS, face, outline


@dataclass(frozen=True)
class Sign:
    """A sign.

    Args:
        kind: one of labels.SIGN_KINDS.
        variant: one of sign_faces.VARIANTS[kind].
        foot: (3,) world point of its post.
        centre: (3,) world point of the middle of its face.
        size: side of the square that the face fills, metres.
        heading: radians; the way it looks, pi is against the traffic.
        worn: how much of the colour is left, 0..1.
    """

    kind: str
    variant: str
    foot: np.ndarray
    centre: np.ndarray
    size: float
    heading: float
    worn: float

    def draw_face(self, canvas: Canvas, light: Light, instance: int) -> None:
        """The face and, behind it, the grey back or the housing."""
        normal = np.array([math.sin(self.heading), 0.0, math.cos(self.heading)])
        right = np.array([-normal[2], 0.0, normal[0]])  # to the right as a driver sees it
        down = np.array([0.0, -1.0, 0.0])
        shape = outline(self.kind) - 0.5
        corners = self.centre + shape[:, :1] * self.size * right + shape[:, 1:] * self.size * down
        if (canvas.camera.position - self.centre) @ normal <= 0:
            canvas.polygon(corners, light.paint(np.full(3, 0.45), normal), POLE)
            return
        if self.kind == "traffic_light":
            self._draw_housing(canvas, light, corners, normal)
        depth = max(canvas.camera.project(self.centre)[2], 0.5)
        pixels = canvas.camera.focal * self.size / depth
        level = int(np.clip(math.floor(math.log2(SIDE / max(pixels, 1.0))), 0, 4))
        picture = face(self.kind, self.variant, level)
        lit = (light.shade(normal) * (2.4 if light.night else 1.0) * self.worn).astype(np.float32)
        step = np.float32(len(picture) / self.size)
        half = len(picture) / 2

        def shader(world: np.ndarray, depth: np.ndarray) -> np.ndarray:
            offset = world - self.centre.astype(np.float32)
            columns = np.clip((offset @ right.astype(np.float32)) * step + half, 0, len(picture) - 1).astype(np.int32)
            rows = np.clip(offset[:, 1] * -step + half, 0, len(picture) - 1).astype(np.int32)
            colours = picture[rows, columns].copy()
            glow = colours[:, 3:]
            colours[:, :3] *= lit * (1 - glow) + glow
            clipped: np.ndarray = np.clip(colours, 0, 1, out=colours)
            return clipped

        canvas.polygon(corners, shader, TRAFFIC_SIGN, normal=normal, instance=instance)

    def _draw_housing(self, canvas: Canvas, light: Light, corners: np.ndarray, normal: np.ndarray) -> None:
        back = corners - normal * 0.2
        dark = np.full(3, 0.09)
        for index in range(4):
            after = (index + 1) % 4
            side = np.stack([corners[index], corners[after], back[after], back[index]])
            canvas.polygon(side, light.paint(dark, np.array([0.0, 0.5, 0.0])), TRAFFIC_SIGN)

    def draw_post(self, canvas: Canvas, light: Light) -> None:
        """The post, and the arm where the face hangs over the road."""
        steel = np.array([0.5, 0.51, 0.53])
        reach = self.centre - self.foot
        aside = reach * (1, 0, 1)
        if np.linalg.norm(aside) < 0.5:
            draw_post(canvas, self.foot, float(reach[1]) + self.size * 0.3, radius=0.04, colour=steel, light=light)
            return
        draw_post(canvas, self.foot, float(reach[1]) + 0.25, radius=0.09, colour=steel * 0.7, light=light)
        top, thick = above(self.foot, float(reach[1])), np.array([0.0, 0.11, 0.0])
        end = top + aside
        arm = np.stack([top, end, end + thick, top + thick])
        canvas.polygon(arm, light.paint(steel * 0.7, np.array([0.0, 0.3, -0.9])), POLE)


def random_sign(
    rng: np.random.Generator, kind: str, foot: np.ndarray, *, towards_road: float, reach: float, size: float
) -> Sign:
    """A sign of a kind at the roadside.

    Args:
        kind: one of labels.SIGN_KINDS.
        foot: (3,) world point of the post.
        towards_road: -1 or 1, the direction of the road along x.
        reach: metres a traffic light hangs out over the road; 0 for on the post.
        size: of the face, metres.
    """
    height = float(rng.uniform(2.0, 2.7)) + size * 0.4
    arm = np.zeros(3)
    if kind == "traffic_light":
        size *= 1.25
        height = 4.9 if reach else 2.9
        arm = np.array([towards_road * reach, 0.0, 0.0])
    variants = VARIANTS[kind]
    return Sign(
        kind=kind,
        variant=variants[int(rng.integers(len(variants)))],
        foot=foot,
        centre=foot + arm + np.array([0.0, height, -0.08]),
        size=size,
        heading=math.pi + float(rng.normal(0, 0.12)),
        worn=float(rng.uniform(0.8, 1.0)),
    )
