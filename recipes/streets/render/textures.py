"""Tileable noise, looked up by world coordinates."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np

from umbel import keyed_generator

SIZE = 256


@cache
def noise(octaves: str) -> np.ndarray:
    """A tile (SIZE, SIZE) float32 of mean 0 and deviation 1.

    Args:
        octaves: "fine" for grain, "cloud" for soft shapes of every size, "coarse" for broad patches.
    """
    rng = keyed_generator("streets", "noise", octaves)
    total = np.zeros((SIZE, SIZE), np.float32)
    for level in {"fine": (256, 128), "cloud": (8, 16, 32, 64, 128), "coarse": (16, 32)}[octaves]:
        cells = rng.standard_normal((level, level)).astype(np.float32)
        wrapped = np.pad(cells, 2, mode="wrap")
        step = SIZE // level
        grown = cv2.resize(wrapped, None, fx=step, fy=step, interpolation=cv2.INTER_CUBIC)
        total += grown[2 * step : 2 * step + SIZE, 2 * step : 2 * step + SIZE] * (16 / level)
    result: np.ndarray = (total - total.mean()) / total.std()
    return result


def lookup(octaves: str, u: np.ndarray, v: np.ndarray, scale: float) -> np.ndarray:
    """Noise (P,) at coordinates u, v (P,) in metres, `scale` texels a metre."""
    columns = (u * np.float32(scale)).astype(np.int32) & (SIZE - 1)
    rows = (v * np.float32(scale)).astype(np.int32) & (SIZE - 1)
    found: np.ndarray = noise(octaves)[rows, columns]
    return found


def cell_values(u: np.ndarray, v: np.ndarray, salt: int) -> np.ndarray:
    """A value in 0..1 (P,) that is constant in each cell of integer coordinates u, v (P,)."""
    mixed = u.astype(np.uint32) * np.uint32(73856093) ^ v.astype(np.uint32) * np.uint32(19349663) ^ np.uint32(salt)
    mixed = (mixed ^ (mixed >> np.uint32(13))) * np.uint32(1274126177)
    return ((mixed >> np.uint32(8)) & np.uint32(0xFFFF)).astype(np.float32) / np.float32(65535)


def wrapped(values: np.ndarray, period: float) -> np.ndarray:
    """values modulo a period (P,), in a fifth of the time of np.mod."""
    rest: np.ndarray = values - np.float32(period) * np.floor(values * np.float32(1 / period))
    return rest
