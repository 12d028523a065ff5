"""The ground: a gently curved road with markings, kerbs and sidewalks, and a crossing street."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from umbel.recipes.streets.labels import LANE_MARKING, ROAD, SIDEWALK, VEGETATION
from umbel.recipes.streets.render.canvas import Canvas
from umbel.recipes.streets.render.lighting import Light
from umbel.recipes.streets.render.textures import cell_values, lookup, wrapped

FARTHEST = 300.0  # metres of ground drawn; behind it stands the skyline

_STRAIGHT = 90.0  # the road bends up to this distance, then goes on straight

_KERB = 0.22


@dataclass(frozen=True)
class Road:
    """A road along z; stations s are distances ahead, offsets t to the right of its middle, all in metres.

    Args:
        bend: curvature in 1/m, positive to the right.
        lanes: number of lanes, both directions together.
        lane_width: metres.
        parking: width of the parking strip on each side; 0 for none.
        sidewalk: width of the sidewalks.
        crossing: station of the middle of the crossing street, None for none.
        crossing_half: half the width of the crossing street.
        zebra: a crosswalk is painted before the crossing street.
        double_line: the middle line is solid.
        paving: (3,) colour of the sidewalk.
        verge: what lies behind the sidewalk is grass rather than paving.
        seed: salt of the random details of the surface.
    """

    bend: float
    lanes: int
    lane_width: float
    parking: float
    sidewalk: float
    crossing: float | None
    crossing_half: float
    zebra: bool
    double_line: bool
    paving: tuple[float, float, float]
    verge: bool
    seed: int

    @property
    def half(self) -> float:
        """Half the width between the kerbs."""
        return self.lanes * self.lane_width / 2 + self.parking

    def middle(self, s: np.ndarray) -> np.ndarray:
        """World x of the middle of the road at stations s."""
        near = np.clip(s, -_STRAIGHT, _STRAIGHT)
        bent: np.ndarray = self.bend * near * (s - near / 2)
        return bent

    def place(self, s: float, t: float, y: float = 0.0) -> np.ndarray:
        """World point (3,) at station s, offset t and height y."""
        return np.array([float(self.middle(np.array(s))) + t, y, s])

    def heading(self, s: float) -> float:
        """Direction of the road at a station, radians to the right of z."""
        return float(np.arctan(self.bend * np.clip(s, -_STRAIGHT, _STRAIGHT)))

    def is_crossing(self, s: float, margin: float = 0.0) -> bool:
        return self.crossing is not None and abs(s - self.crossing) < self.crossing_half + margin


def draw_ground(canvas: Canvas, road: Road, light: Light, shadow: np.ndarray) -> None:
    """Fill what no object covers below the horizon.

    Args:
        canvas: where everything that stands on the ground is drawn already.
        road: the road.
        light: the light.
        shadow: (H, W) uint8, 255 where the sun does not reach the ground.
    """
    plane = canvas.camera.inverse_depth(np.zeros(3), np.array([0.0, 1.0, 0.0]))
    if plane is None:
        return
    a, b, c = plane
    xs = np.arange(canvas.camera.columns, dtype=np.float32)
    ys = np.arange(canvas.camera.rows, dtype=np.float32)[:, None]
    inverse = np.float32(a) * xs + (np.float32(b) * ys + np.float32(c))
    where = np.nonzero((inverse > 1 / FARTHEST) & (inverse > canvas.inverse_depth))
    if not len(where[0]):
        return
    found = inverse[where]
    depth = 1 / found
    world = canvas.camera.unproject(where[1].astype(np.float32), where[0].astype(np.float32), depth)
    s, t = world[:, 2], world[:, 0] - road.middle(world[:, 2]).astype(np.float32)
    labels, colours = _surface(road, s, t, depth / np.float32(canvas.camera.focal), light)
    sun = light.ambient + light.direct * max(float(light.sun[1]), 0.0)
    shade = 1 - cv2.blur(shadow, (3, 3))[where].astype(np.float32) * np.float32((1 - light.shadow) / 255)
    colours *= sun.astype(np.float32)
    colours *= shade[:, None]
    canvas.put(where, np.pad(colours, ((0, 0), (0, 1))), found, labels, 0)


def _surface(
    road: Road, s: np.ndarray, t: np.ndarray, footprint: np.ndarray, light: Light
) -> tuple[np.ndarray, np.ndarray]:
    """Labels (P,) and unlit colours (P, 3) at stations s, offsets t (P,); footprint (P,) is a pixel's width in m."""
    outside = np.abs(t) - road.half
    if road.crossing is not None:
        across = np.abs(s - np.float32(road.crossing)) - np.float32(road.crossing_half)
        outside = np.minimum(outside, across)
    detail = np.clip(0.06 / footprint, 0, 1)  # fine texture fades before it could flicker
    fine, broad = lookup("fine", s, t, 23), lookup("cloud", s, t, 5)
    labels = np.full(len(s), ROAD, np.uint8)
    base = 0.34 + 0.05 * cell_values(np.full(1, road.seed), np.zeros(1), 5)[0]
    value = base + fine * detail * 0.028 + broad * 0.014
    value += 0.016 * np.cos(t * np.float32(4 * np.pi / road.lane_width))  # wheel tracks
    value -= 0.05 * (lookup("coarse", s, t, 1.3) > 1.7)  # repairs
    colours = value[:, None] * np.array([1.0, 1.0, 1.03], np.float32)
    if light.wet:
        colours *= np.float32(1 - 0.42 * light.wet)
    if light.snow:
        slush = np.clip(0.5 + 0.5 * np.cos(t * np.float32(4 * np.pi / road.lane_width)) + broad * 0.3, 0, 1) * 0.35
        colours += slush[:, None] * (0.85 - colours)

    driven = np.nonzero(outside < 0)[0]
    painted = _markings(road, s[driven], t[driven]) & (lookup("fine", s[driven], t[driven], 9) < 2.2)
    marked = driven[painted]
    labels[marked] = LANE_MARKING
    paint = np.float32(0.86) - np.float32(0.05) * np.abs(broad[marked])
    colours[marked] = paint[:, None] * np.float32(1 - 0.25 * light.wet)

    edge = (outside >= 0) & (outside < _KERB)
    labels[edge] = SIDEWALK
    colours[edge] = (np.where(outside[edge] < 0.07, 0.36, 0.66) + fine[edge] * 0.02)[:, None]
    walk = outside >= _KERB
    labels[walk] = SIDEWALK
    joint = (wrapped(s[walk], 0.8) < 0.05) | (wrapped(t[walk], 0.8) < 0.05)
    tone = 1 + 0.09 * (cell_values(s[walk] / 0.8 + 4096, t[walk] / 0.8 + 4096, road.seed) - 0.5)
    tone += fine[walk] * detail[walk] * 0.035 + broad[walk] * 0.03 - joint * np.clip(detail[walk], 0.25, 1) * 0.17
    colours[walk] = tone[:, None] * np.array(road.paving, np.float32) * np.float32(1 - 0.25 * light.wet)
    if road.verge:
        lawn = outside >= road.sidewalk
        labels[lawn] = VEGETATION
        green = 1 + fine[lawn] * (0.08 + 0.2 * detail[lawn]) + broad[lawn] * 0.11
        colours[lawn] = green[:, None] * np.array([0.27, 0.41, 0.15], np.float32)
    if light.snow:
        beside = outside >= 0
        cover = np.clip(0.86 + broad[beside] * 0.12 - 0.25 * (outside[beside] < _KERB), 0.25, 1)
        colours[beside] += cover[:, None] * (np.array([0.90, 0.92, 0.96], np.float32) - colours[beside])
    return labels, np.clip(colours, 0, 1, out=colours)


def _markings(road: Road, s: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Where paint is: bool (P,)."""
    driven = road.lanes * road.lane_width / 2
    lane = np.abs(t) - road.lane_width * np.round(np.abs(t) / road.lane_width)  # distance to the next lane border
    border = np.round(np.abs(t) / np.float32(road.lane_width)) * np.float32(road.lane_width)
    inner = border < driven - 0.1
    odd = road.lanes % 2 == 1
    if odd:
        shifted = np.abs(np.abs(t) - road.lane_width / 2)
        lane = shifted - road.lane_width * np.round(shifted / road.lane_width)
        inner = shifted < driven - road.lane_width
    dash = wrapped(s + 64, 8.0) < 3.2
    painted: np.ndarray = (np.abs(lane) < 0.075) & inner & dash
    if not odd and road.double_line:
        painted = np.where(np.abs(t) < road.lane_width / 2, np.abs(np.abs(t) - 0.13) < 0.065, painted)
    painted |= np.abs(np.abs(t) - (driven - 0.14)) < 0.06
    if road.crossing is None:
        return painted
    before = s - np.float32(road.crossing - road.crossing_half)
    after = np.float32(road.crossing + road.crossing_half) - s
    painted &= (before < -0.3) | (after < -0.3)
    if road.zebra:
        for gap in (before, after):
            near = (gap > -5.6) & (gap < -0.5)
            painted &= ~near
            painted |= (gap > -4.4) & (gap < -1.2) & (wrapped(t + 0.25, 1.0) < 0.5)
            own = t > 0.1 if gap is before else t < -0.1  # stop line of the lanes that drive towards it
            painted |= (gap > -5.5) & (gap < -5.1) & own & (np.abs(t) < driven)
    return painted
