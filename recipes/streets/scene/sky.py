"""What is behind everything: sky with clouds or stars, and a far skyline of hills, trees and towers."""

from __future__ import annotations

import numpy as np

from umbel.recipes.streets.labels import BUILDING, SKY, VEGETATION
from umbel.recipes.streets.render.canvas import Canvas
from umbel.recipes.streets.render.lighting import Light
from umbel.recipes.streets.render.textures import cell_values, lookup, noise
from umbel.recipes.streets.scene.ground import FARTHEST


def draw_skyline(canvas: Canvas, light: Light, rng: np.random.Generator) -> None:
    """Hills and towers at the end of the ground, all around."""
    centre_x, centre_y = canvas.camera.centre
    right, down, forward = canvas.camera.axes.astype(np.float32)
    ys, xs = np.mgrid[: canvas.camera.rows, : canvas.camera.columns].astype(np.float32)
    x, y = (
        (xs - np.float32(centre_x)) / np.float32(canvas.camera.focal),
        (ys - np.float32(centre_y)) / np.float32(canvas.camera.focal),
    )
    low = y < max(float(forward[1]), -0.3) + 0.3
    free = np.nonzero((canvas.inverse_depth < 1 / FARTHEST) & low)
    if not len(free[0]):
        return
    x, y = x[free], y[free]
    flat = forward[0] + x * right[0] + y * down[0], forward[2] + x * right[2] + y * down[2]
    reach = np.hypot(*flat)
    elevation = (forward[1] + x * right[1] + y * down[1]) / reach
    azimuth = np.arctan2(flat[0], flat[1]).astype(np.float32)
    salt = int(rng.integers(1 << 16))
    rolling = noise("cloud")[salt & 255, ((azimuth * 160).astype(np.int32)) & 255]
    hills = 0.022 + 0.008 * rolling + 0.003 * lookup("fine", azimuth, np.zeros_like(azimuth), 700)
    block = np.floor(azimuth * 45 + 512)
    towers = np.where(cell_values(block, np.zeros_like(block), salt) > rng.uniform(0.35, 0.95), 1.0, 0.0)
    towers *= 0.03 + 0.06 * cell_values(block, np.ones_like(block), salt)
    light_level = light.ambient + light.direct * 0.35
    inverse = np.float32(1 / (FARTHEST + 20))
    floor = elevation > -canvas.camera.position[1] / FARTHEST * 1.3
    tone = 1 + 0.14 * lookup("fine", azimuth, elevation, 900)
    green = np.array([0.24, 0.32, 0.2] if not light.snow else [0.62, 0.66, 0.7]) * light_level
    stone = np.array([0.5, 0.49, 0.5]) * light_level
    for shape, colour, label in ((towers, stone, BUILDING), (hills, green, VEGETATION)):
        inside = floor & (elevation < shape)
        where = (free[0][inside], free[1][inside])
        colours = np.zeros((len(where[0]), 4), np.float32)
        colours[:, :3] = colour.astype(np.float32) * tone[inside, None]
        if light.lamps_lit and label == BUILDING:
            lit = cell_values(azimuth[inside] * 500 + 4096, elevation[inside] * 500 + 4096, salt) > 0.8
            colours[lit] = (0.75, 0.6, 0.35, 0.8)
        canvas.put(where, colours, inverse, label, 0)


def draw_sky(canvas: Canvas, light: Light, rng: np.random.Generator) -> None:
    """Fill what is left with sky; its depth stays infinite."""
    free = np.nonzero(canvas.inverse_depth == 0)
    drift = rng.uniform(0, 256, 2).tolist()
    cover = float(rng.uniform(-0.3, 1.6))
    if not len(free[0]):
        return
    centre_x, centre_y = canvas.camera.centre
    right, down, forward = canvas.camera.axes.astype(np.float32)
    x = (free[1].astype(np.float32) - np.float32(centre_x)) / np.float32(canvas.camera.focal)
    y = (free[0].astype(np.float32) - np.float32(centre_y)) / np.float32(canvas.camera.focal)
    ray = forward + x[:, None] * right + y[:, None] * down
    ray /= np.linalg.norm(ray, axis=1, keepdims=True)
    height = np.clip(ray[:, 1], 0.02, 1)
    share = np.sqrt(height)[:, None]
    colours = np.ones((len(x), 4), np.float32)
    horizon, zenith = light.horizon.astype(np.float32), light.zenith.astype(np.float32)
    colours[:, :3] = horizon * (1 - share) + zenith * share
    if light.time != "night":
        u, v = ray[:, 0] / (height + 0.12), ray[:, 2] / (height + 0.12)
        density = lookup("cloud", u + drift[0], v + drift[1], 40) + 0.3 * lookup("cloud", u + drift[1], v, 150)
        opacity = np.clip((density - cover) * 0.7, 0, 1) * np.clip(height * 5, 0, 1)
        white = np.clip(horizon * 0.35 + 0.65, 0, 1) if light.time == "day" else horizon * 0.94
        colours[:, :3] += (opacity * 0.85)[:, None] * (white - colours[:, :3])
        glare = np.clip(ray @ light.sun.astype(np.float32), 0, 1) ** 60
        colours[:, :3] += (glare * 0.7)[:, None] * np.clip(light.direct * 1.5, 0, 1).astype(np.float32)
    else:
        star = cell_values(free[1], free[0], int(drift[0] * 99)) > 0.9993
        colours[star, :3] = 0.55
    canvas.colour[free] = np.clip(colours, 0, 1, out=colours)
    canvas.labels[free] = SKY
