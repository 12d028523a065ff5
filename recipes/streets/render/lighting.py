"""Light of a scene: sun, sky, night."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

TIMES = ("day", "overcast", "dusk", "night")


@dataclass(frozen=True)
class Light:
    """How things are lit; colours are (3,) in 0..1.

    Args:
        time: one of TIMES.
        sun: (3,) unit vector towards the sun.
        direct: colour of sunlight; black where there is none.
        ambient: light from all around.
        zenith, horizon: colours of the sky above and at the horizon.
        shadow: how much of the light a cast shadow leaves, 0..1.
        snow: snow lies and trees are bare.
        wet: wetness of the road, 0..1.
        fog: extinction of the air in 1/m.
    """

    time: str
    sun: np.ndarray
    direct: np.ndarray
    ambient: np.ndarray
    zenith: np.ndarray
    horizon: np.ndarray
    shadow: float
    snow: bool
    wet: float
    fog: float

    @property
    def night(self) -> bool:
        return self.time == "night"

    @property
    def lamps_lit(self) -> bool:
        return self.time in ("dusk", "night")

    def shade(self, normal: np.ndarray) -> np.ndarray:
        """Light (3,) that falls on a surface with an outward unit normal (3,)."""
        facing = max(0.0, float(normal @ self.sun))
        lit: np.ndarray = self.ambient * (0.8 + 0.2 * float(normal[1])) + self.direct * facing
        return lit

    def paint(self, colour: np.ndarray, normal: np.ndarray) -> np.ndarray:
        """Colour with glow (4,) of a dull surface; a negative fourth number is not lit."""
        return rgb(*(colour[:3] * self.shade(normal)))


def rgb(red: float, green: float, blue: float, glow: float = 0.0) -> np.ndarray:
    """A colour of the canvas (4,) float32."""
    return np.array([red, green, blue, glow], np.float32)


def grey(value: float) -> np.ndarray:
    return rgb(value, value, value)


def random_light(rng: np.random.Generator) -> Light:
    """Light and weather of one scene."""
    time = str(rng.choice(TIMES, p=(0.52, 0.28, 0.11, 0.09)))
    snow = bool(rng.random() < 0.1)
    rain = time in ("overcast", "night") and not snow and rng.random() < 0.35
    wet = float(rng.uniform(0.5, 1.0)) if rain else 0.0
    fog = float(rng.choice([rng.uniform(0.0012, 0.004), rng.uniform(0.008, 0.03)], p=(0.9, 0.1)))
    if fog > 0.006 and time == "day":
        time = "overcast"  # no sun comes through fog
    azimuth = rng.uniform(0, 2 * math.pi)
    height = {"day": rng.uniform(0.5, 1.1), "dusk": rng.uniform(0.12, 0.35)}.get(time, 1.0)
    sun = np.array([math.cos(azimuth) * math.cos(height), math.sin(height), math.sin(azimuth) * math.cos(height)])
    warm = float(rng.uniform(-0.03, 0.03))
    tint = np.array([1 + warm, 1.0, 1 - warm])
    table = {
        #            direct               ambient              zenith               horizon              shadow
        "day": ((0.62, 0.57, 0.48), (0.5, 0.54, 0.6), (0.27, 0.47, 0.80), (0.72, 0.82, 0.92), 0.52),
        "overcast": ((0.05, 0.05, 0.05), (0.74, 0.76, 0.79), (0.54, 0.58, 0.64), (0.72, 0.745, 0.77), 0.97),
        "dusk": ((0.55, 0.35, 0.19), (0.47, 0.42, 0.45), (0.24, 0.29, 0.48), (0.93, 0.62, 0.40), 0.62),
        "night": ((0.0, 0.0, 0.0), (0.12, 0.135, 0.18), (0.015, 0.02, 0.05), (0.09, 0.09, 0.13), 1.0),
    }
    direct, ambient, zenith, horizon, shadow = table[time]
    return Light(
        time=time,
        sun=sun,
        direct=np.array(direct) * tint,
        ambient=np.array(ambient) * rng.uniform(0.88, 1.1),
        zenith=np.array(zenith) * rng.uniform(0.85, 1.1),
        horizon=np.clip(np.array(horizon) * tint * rng.uniform(0.92, 1.05), 0, 1),
        shadow=shadow,
        snow=snow,
        wet=wet,
        fog=fog,
    )
