"""Trees, hedges and bushes: backbones in space and crowns of leaf clusters that face the camera."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from umbel.recipes.streets.labels import VEGETATION
from umbel.recipes.streets.render.camera import above
from umbel.recipes.streets.render.canvas import Canvas
from umbel.recipes.streets.render.lighting import Light
from umbel.recipes.streets.render.textures import SIZE, noise
from umbel.recipes.streets.scene.posts import draw_post

SHAPES = ("broad", "tall", "conifer", "bush")

_GREENS = ((0.24, 0.38, 0.13), (0.30, 0.42, 0.15), (0.18, 0.33, 0.15), (0.38, 0.42, 0.16), (0.50, 0.36, 0.12))


@dataclass(frozen=True)
class Plant:
    """A tree or bush.

    Args:
        foot: (3,) world point.
        shape: one of SHAPES.
        height: metres to the top.
        spread: radius of the crown in metres.
        colour: (3,) of the leaves.
        salt: of its leaves.
    """

    foot: np.ndarray
    shape: str
    height: float
    spread: float
    colour: tuple[float, float, float]
    salt: int

    @property
    def crown(self) -> tuple[float, float]:
        """Heights of the lower and upper end of the crown."""
        low = {"broad": 0.32, "tall": 0.16, "conifer": 0.1, "bush": 0.0}[self.shape]
        return self.height * low, self.height

    def shadow(self) -> np.ndarray:
        """Points (N, 3) whose hull casts the crown's shadow."""
        angles = np.linspace(0, 2 * np.pi, 10, endpoint=False)
        ring = np.stack([np.cos(angles), np.zeros(10), np.sin(angles)], axis=1) * self.spread * 0.85
        low, high = self.crown
        return np.concatenate(
            [ring + self.foot + (0, (low * 0.6 + high * 0.4), 0), (ring * 0.5) + self.foot + (0, high, 0)]
        )


def random_plant(rng: np.random.Generator, foot: np.ndarray, shape: str) -> Plant:
    """A plant of a shape with random size and colour."""
    height, slim = {"broad": (7.0, 0.36), "tall": (9.0, 0.17), "conifer": (8.0, 0.26), "bush": (1.3, 0.75)}[shape]
    height *= float(rng.uniform(0.75, 1.3))
    colour = _GREENS[2] if shape == "conifer" else _GREENS[int(rng.choice(5, p=(0.35, 0.3, 0.2, 0.1, 0.05)))]
    return Plant(
        foot=foot,
        shape=shape,
        height=height,
        spread=height * slim * float(rng.uniform(0.85, 1.2)),
        colour=colour,
        salt=int(rng.integers(1 << 20)),
    )


def draw_plant(canvas: Canvas, plant: Plant, light: Light) -> None:
    """Backbone and crown."""
    low, high = plant.crown
    x, y, depth = canvas.camera.project(above(plant.foot, (low + high) / 2))
    if depth < 1.5:
        return
    size = canvas.camera.focal / depth
    half_width, half_height = plant.spread * size, (high - low) / 2 * size
    if x + half_width < 0 or x - half_width > canvas.camera.columns or half_height < 1:
        return
    if plant.shape != "bush":
        bark = np.array([0.27, 0.21, 0.16])
        draw_post(
            canvas,
            plant.foot,
            low + (high - low) * 0.5,
            radius=plant.spread * 0.05 + 0.04,
            colour=bark,
            light=light,
            label=VEGETATION,
        )
    rng = np.random.Generator(np.random.PCG64(plant.salt))
    picture, mask = _crown(plant, half_width, half_height, light=light, canvas=canvas, rng=rng)
    corner = round(x - mask.shape[1] / 2), round(y - mask.shape[0] / 2)
    canvas.stamp(corner, picture, mask, depth, VEGETATION)


def _crown(
    plant: Plant, half_width: float, half_height: float, *, light: Light, canvas: Canvas, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Colours (h, w, 4) and mask (h, w) of a crown."""
    blob = {"tall": 0.33, "conifer": 0.24}.get(plant.shape, 0.2)
    width, height = max(3, round(half_width * 2.3)), max(3, round(half_height * 2.2))
    count = int(np.clip(half_width * half_height / 10, 12, 110))
    u, v = _clusters(plant.shape, count, rng)
    radius = rng.uniform(0.6, 1.25, count) * blob * min(half_width, half_height * 1.6)
    right, _, forward = canvas.camera.axes
    side, front = float(light.sun @ right), -float(light.sun @ forward)
    bright = (
        0.62 + 0.26 * (u * side - v * 0.8) * (0.5 + light.direct.mean()) + 0.1 * front + rng.uniform(-0.13, 0.13, count)
    )
    tone, cover = np.zeros((height, width), np.float32), np.zeros((height, width), np.uint8)
    for index in np.argsort(-v + rng.uniform(-0.5, 0.5, count))[::-1]:
        middle = (round(width / 2 + u[index] * half_width), round(height / 2 + v[index] * half_height))
        size = max(1, round(float(radius[index])))
        cv2.circle(tone, middle, size, float(bright[index]), -1)
        cv2.circle(cover, middle, size, 255, -1)
    leaf_pixels = int(np.clip(round(half_width / 26), 1, 5))
    shift = int(rng.integers(SIZE))
    rows = (np.arange(height) // leaf_pixels + shift) % SIZE
    columns = (np.arange(width) // leaf_pixels + shift) % SIZE
    leaves = noise("fine")[np.ix_(rows, columns)]
    inner = cv2.blur(cover, (max(1, int(half_width / 4)),) * 2).astype(np.float32) / 255
    mask = (cover > 0) & (leaves > 1.9 - 3.6 * inner)
    if light.snow and plant.shape != "conifer":
        mask &= leaves < 0.9
    colour = np.array(plant.colour)
    if light.snow:
        colour = np.array([0.16, 0.21, 0.16]) if plant.shape == "conifer" else np.array([0.3, 0.26, 0.23])
    lit = (colour * (light.ambient + 0.75 * light.direct) * 1.25).astype(np.float32)
    tone *= 1 + 0.17 * leaves
    picture = np.zeros((height, width, 4), np.float32)
    picture[:, :, :3] = tone[:, :, None] * lit
    if light.snow:
        white = (tone > 0.72) & (leaves > -0.4)
        picture[white, :3] = np.array([0.9, 0.92, 0.95]) * light.ambient * 1.1
    return np.clip(picture, 0, 1), mask


def _clusters(shape: str, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Where the leaf clusters sit: u, v (count,) in -1..1, right and down."""
    angle, distance = rng.uniform(0, 2 * np.pi, count), np.sqrt(rng.uniform(0, 1, count)) * 0.84
    u, v = np.cos(angle) * distance, np.sin(angle) * distance
    if shape == "conifer":
        v = 0.92 - 1.84 * np.sqrt(rng.uniform(0, 1, count))
        v = -v
        tier = 0.75 + 0.25 * np.mod((v + 1) * 3, 1)
        u = rng.uniform(-1, 1, count) * (v + 1) / 2 * tier
    elif shape == "bush":
        v = 1 - np.abs(v) * 1.3
    return u, v
