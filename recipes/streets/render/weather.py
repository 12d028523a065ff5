"""From lit surfaces to a photograph: lamps at night, wet reflections, haze, rain and snow, lens and sensor."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from umbel.recipes.streets.labels import LANE_MARKING, ROAD, SKY
from umbel.recipes.streets.render.canvas import Canvas
from umbel.recipes.streets.render.lighting import Light


def light_lamps(canvas: Canvas, lamps: Sequence[np.ndarray], light: Light, *, headlights: bool) -> None:
    """Add the light of street lamps (3,) and of the own headlights to what does not shine by itself, in place."""
    coarse = 4
    inverse = canvas.inverse_depth[::coarse, ::coarse]
    depth = 1 / np.maximum(inverse, 1e-3).ravel()
    ys, xs = np.mgrid[: canvas.camera.rows : coarse, : canvas.camera.columns : coarse].astype(np.float32)
    world = canvas.camera.unproject(xs.ravel(), ys.ravel(), depth)
    gain = np.zeros((len(depth), 3), np.float32)
    for lamp in lamps:
        distance = ((world - lamp.astype(np.float32)) ** 2).sum(1)
        below = np.clip((lamp[1] - world[:, 1]) / np.sqrt(distance + 0.1) + 0.25, 0, 1)
        gain += (below * 230 / (distance + 14))[:, None] * np.array([1.0, 0.82, 0.52], np.float32)
    if headlights:
        centre_x = canvas.camera.centre[0]
        aside = (xs.ravel() - np.float32(centre_x)) / np.float32(canvas.camera.focal)
        above = np.clip((world[:, 1] - 0.4) / 2.0, 0, 1)
        beam = np.exp(-((aside / 0.42) ** 2)) * (1 - 0.8 * above) / (1 + (depth / 15) ** 2)
        gain += (beam * np.clip((depth - 2) / 6, 0, 1) * 9.0)[:, None] * np.array([1.0, 0.97, 0.88], np.float32)
    gain *= np.float32(1.0 if light.night else 0.1)
    field = cv2.resize(gain.reshape(*inverse.shape, 3), canvas.labels.shape[::-1], interpolation=cv2.INTER_LINEAR)
    field *= (1 - canvas.colour[:, :, 3:]) * (canvas.labels != SKY)[:, :, None]
    canvas.colour[:, :, :3] *= 1 + field


def wet_road(canvas: Canvas, light: Light) -> None:
    """Mirror what stands on the road in it, blurred downwards, in place."""
    road = (canvas.labels == ROAD) | (canvas.labels == LANE_MARKING)
    rows = np.nonzero(road.any(axis=1))[0]
    if not len(rows):
        return
    top = int(rows[0])
    picture = canvas.colour[:, :, :3]
    count = min(top, canvas.camera.rows - top)
    if count < 4:
        return
    mirrored = np.ascontiguousarray(picture[top - count : top][::-1])
    mirrored = cv2.blur(mirrored, (5, 25))
    below = picture[top : top + count]
    share = np.float32(0.55 * light.wet) * np.linspace(1, 0, count, dtype=np.float32)[:, None, None]
    share = share * road[top : top + count, :, None]
    below += share * (mirrored - below)


def add_haze(colour: np.ndarray, inverse_depth: np.ndarray, light: Light) -> None:
    """Fade colours (H, W, 4) into the air's colour by depth, in place."""
    # thin haze leaves the sky as it is
    behind = np.float32(1.0 if light.fog < 0.006 else np.exp(-light.fog * 170))
    clear = np.exp(np.float32(-light.fog) / np.maximum(inverse_depth, np.float32(2.5e-3)))
    clear = np.where(inverse_depth == 0, behind, clear)[:, :, None]
    air = np.append(light.horizon * (0.9 if light.time != "night" else 1.2), 0.0).astype(np.float32)
    colour -= air
    colour *= clear
    colour += air


def develop(colour: np.ndarray, light: Light, rng: np.random.Generator) -> np.ndarray:
    """The photograph (H, W, 3) uint8 of colours (H, W, 4): glare, rain or snow, vignette, exposure, blur, noise."""
    height, width = colour.shape[:2]
    picture = np.ascontiguousarray(colour[:, :, :3])
    shine = picture * colour[:, :, 3:] * (0.9 if light.night else 0.35)
    for radius, share in ((1.6, 0.5), (5.0, 0.8)):
        picture += share * cv2.GaussianBlur(shine, (0, 0), radius * width / 320)
    if light.wet > 0.55:
        _rain(picture, rng, light)
    if light.snow and rng.random() < 0.5:
        _flakes(picture, rng, light)
    ys, xs = np.linspace(-1, 1, height, dtype=np.float32)[:, None], np.linspace(-1, 1, width, dtype=np.float32)[None]
    picture *= (1 - np.float32(rng.uniform(0.03, 0.13)) * (xs**2 + ys**2))[:, :, None]
    picture *= np.float32(rng.uniform(0.92, 1.12) * (1.25 if light.night else 1.0))
    contrast = np.float32(rng.uniform(0.97, 1.12))
    picture = np.where(picture > 0.8, 0.8 + 0.2 * np.tanh((picture - 0.8) / 0.2), picture)  # highlights roll off
    picture = (picture - np.float32(0.45)) * contrast + np.float32(0.45)
    blur = rng.uniform(0.0, 0.65)
    if blur > 0.3:
        picture = cv2.GaussianBlur(picture, (0, 0), blur)
    strength = rng.uniform(0.004, 0.014) * (1.8 if light.night else 1.0)
    picture += rng.standard_normal(picture.shape, dtype=np.float32) * np.float32(strength)
    developed: np.ndarray = np.clip(picture * 255, 0, 255).astype(np.uint8)
    return developed


def _rain(picture: np.ndarray, rng: np.random.Generator, light: Light) -> None:
    height, width = picture.shape[:2]
    lines = np.zeros((height, width), np.uint8)
    slant = rng.uniform(-0.25, 0.25)
    for x, y, length, bright in rng.uniform((0, -0.1, 0.03, 0.2), (1, 1, 0.11, 1.0), (int(0.0016 * height * width), 4)):
        start = round(x * width), round(y * height)
        end = round(x * width + slant * length * height), round((y + length) * height)
        cv2.line(lines, start, end, 255 * float(bright), 1, cv2.LINE_AA)
    veil = cv2.blur(lines, (2, 3)).astype(np.float32) * np.float32(0.4 / 255)
    drops = np.clip(light.horizon + 0.12, 0, 1).astype(np.float32)
    picture += veil[:, :, None] * (drops - picture)


def _flakes(picture: np.ndarray, rng: np.random.Generator, light: Light) -> None:
    height, width = picture.shape[:2]
    dots = np.zeros((height, width), np.uint8)
    for x, y, size in rng.uniform((0, 0, 0.3), (1, 1, 1.0), (int(0.0028 * height * width), 3)):
        cv2.circle(
            dots,
            (round(x * width * 4), round(y * height * 4)),
            round(6 * size**4) + 2,
            255 * float(size),
            -1,
            cv2.LINE_AA,
            2,
        )
    veil = cv2.GaussianBlur(dots, (0, 0), 0.6).astype(np.float32) * np.float32(0.9 / 255)
    white = np.array([0.95, 0.96, 0.98], np.float32) * np.float32(min(1.0, 1.3 * light.ambient.mean() + 0.15))
    picture += veil[:, :, None] * (white - picture)


def cast_shadow(canvas: Canvas, shadow: np.ndarray, points: np.ndarray, light: Light) -> None:
    """Mark where a body (N, 3) keeps the sun from the ground: the hull of its projection, in place."""
    reach = points[:, 1:2] * (light.sun / max(float(light.sun[1]), 0.12))
    ground = points - reach
    ground[:, 1] = 0.0
    hull = cv2.convexHull(ground[:, [0, 2]].astype(np.float32))[:, 0]
    outline = canvas.outline(np.stack([hull[:, 0], np.zeros(len(hull)), hull[:, 1]], axis=1).astype(float))
    if outline is not None:
        cv2.fillPoly(shadow, [np.round(outline * 8).astype(np.int32)], 255, shift=3)
