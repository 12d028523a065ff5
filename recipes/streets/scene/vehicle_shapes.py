"""Shapes of vehicles: x to the vehicle's right, y up, z to its front, metres, origin on the ground below its middle."""

from __future__ import annotations

from functools import cache

import numpy as np

from umbel import keyed_generator
from umbel.recipes.streets.scene.solids import Face, box, cabin, flat_face, lights, ordered, pane, plate, prism, wheels

VARIANTS = 32


@cache
def shape(kind: str, variant: int) -> tuple[Face, ...]:
    """Faces of a vehicle of a kind of labels.VEHICLE_KINDS; each of its VARIANTS has other proportions."""
    makers = {"bus": _bus, "car": _car, "motorcycle": _motorcycle, "pickup": _pickup, "truck": _truck, "van": _van}
    return tuple(makers[kind](keyed_generator("streets", "shape", kind, variant)))


def _car(rng: np.random.Generator) -> list[Face]:
    half, tall = 0.89, float(rng.uniform(0, 0.22))
    tail = str(rng.choice(["saloon", "hatch", "estate"]))
    belt, roof = 0.93 + tall / 2, 1.44 + tall
    rear = {"saloon": -2.25, "hatch": -1.85, "estate": -2.25}[tail]
    boot = {"saloon": 0.98 + tall / 2, "hatch": belt, "estate": belt}[tail]
    profile = [
        (rear + 0.06, 0.28),
        (rear, 0.62),
        (rear + 0.05, boot - 0.03),
        (rear + 0.5, boot),
        (1.0, belt),
        (1.95, 0.78 + tall / 2),
        (2.12, 0.6),
        (2.1, 0.26),
    ]
    base = {"saloon": (-1.75, 1.05), "hatch": (-1.78, 1.05), "estate": (-2.15, 1.05)}[tail]
    top = {"saloon": (-1.05, 0.25), "hatch": (-1.35, 0.25), "estate": (-1.85, 0.25)}[tail]
    faces = prism(profile, half, "body") + cabin(base, top, (belt - 0.02, roof), half - 0.04, 0.2)
    faces += wheels((-1.32, 1.32), half, 0.33) + lights(half, 2.135, rear - 0.012, (0.6, 0.76), 0.36)
    faces.append(plate((-0.42, 0.42), (0.5, 0.66), 2.13, "dark"))
    for side in (-1.0, 1.0):
        faces.append(pane(side, half, (0.24, 0.34), (-1.0, 1.0), "dark"))
        faces += box(ordered(side * 0.9, side * 1.06), (belt, belt + 0.15), (0.72, 0.84), "body")
    return faces


def _van(rng: np.random.Generator) -> list[Face]:
    half, roof = 0.96, float(rng.uniform(2.0, 2.45))
    profile = [
        (-2.5, 0.3),
        (-2.52, 1.0),
        (-2.42, roof - 0.08),
        (-2.3, roof),
        (0.95, roof),
        (1.75, 1.28),
        (2.4, 1.05),
        (2.5, 0.7),
        (2.48, 0.28),
    ]
    faces = prism(profile, half, "body") + wheels((-1.55, 1.6), half, 0.35)
    faces += lights(half, 2.515, -2.535, (0.72, 0.95), 0.28)
    screen = [(-0.84, 1.36, 1.68), (0.84, 1.36, 1.68), (0.78, roof - 0.14, 1.1), (-0.78, roof - 0.14, 1.1)]
    slope = flat_face(screen, "glass", np.array([0.0, 1.0, 1.0]))
    faces.append(Face(slope.corners + slope.normal * 0.05, slope.normal, "glass"))
    passengers = rng.random() < 0.4
    for side in (-1.0, 1.0):
        window = [
            (side * (half + 0.012), 1.28, 0.6),
            (side * (half + 0.012), 1.28, 1.6),
            (side * (half + 0.012), roof - 0.3, 1.02),
            (side * (half + 0.012), roof - 0.3, 0.6),
        ]
        faces.append(flat_face(window, "glass", np.array([side, 0.0, 0.0])))
        if passengers:
            faces += [
                pane(side, half, (1.28, roof - 0.3), (-0.7, 0.45), "glass"),
                pane(side, half, (1.28, roof - 0.3), (-2.1, -0.85), "glass"),
            ]
        else:
            faces += [
                pane(side, half, (0.45, roof - 0.2), (-0.72, -0.69), "dark"),
                pane(side, half, (0.45, roof - 0.2), (0.5, 0.53), "dark"),
            ]
        faces.append(plate(ordered(side * 0.08, side * 0.8), (1.3, roof - 0.3), -2.545, "glass"))
    faces.append(plate((-0.5, 0.5), (0.5, 0.66), 2.51, "dark"))
    return faces


def _pickup(rng: np.random.Generator) -> list[Face]:
    half, belt, roof = 0.95, 1.1, float(rng.uniform(1.72, 1.85))
    back = float(rng.uniform(-0.95, -0.5))  # where the bed begins
    nose = [(back, 0.42), (back, belt), (1.2, belt), (2.55, 1.02), (2.65, 0.8), (2.62, 0.42)]
    faces = prism(nose, half, "body") + cabin(
        (back + 0.05, 1.25), (back + 0.2, 0.6), (belt - 0.02, roof), half - 0.05, 0.18
    )
    for side in (-1.0, 1.0):
        faces += box(ordered(side * half, side * (half - 0.1)), (0.5, belt - 0.04), (-2.65, back), "body")
    faces += box((-half, half), (0.5, belt - 0.04), (-2.7, -2.62), "body")
    faces += box((-half + 0.1, half - 0.1), (0.45, 0.62), (-2.62, back), "dark")
    faces += wheels((-1.65, 1.65), half, 0.4) + lights(half, 2.665, -2.715, (0.72, 0.9), 0.24)
    faces.append(plate((-0.6, 0.6), (0.62, 0.92), 2.66, "dark"))
    faces += box((-half, half), (0.42, 0.56), (2.6, 2.74), "rim")
    return faces


def _truck(rng: np.random.Generator) -> list[Face]:
    half, roof = 1.2, float(rng.uniform(2.5, 2.8))
    load = float(rng.uniform(3.1, 3.7))
    rear = float(rng.uniform(-5.0, -3.6))
    cab = [(1.9, 0.5), (1.9, roof), (3.2, roof), (3.55, 1.5), (3.6, 0.45)]
    faces = prism(cab, half, "body")
    screen = flat_face(
        [(-1.08, 1.55, 3.56), (1.08, 1.55, 3.56), (1.06, roof - 0.15, 3.29), (-1.06, roof - 0.15, 3.29)],
        "glass",
        np.array([0.0, 0.3, 1.0]),
    )
    faces.append(Face(screen.corners + screen.normal * 0.04, screen.normal, "glass"))
    faces += box((-half, half), (1.0, load), (rear, 1.75), "cargo")
    faces += box((-0.5, 0.5), (0.6, 1.0), (rear, 1.9), "dark")
    for side in (-1.0, 1.0):
        faces.append(pane(side, half, (1.5, roof - 0.25), (2.25, 3.2), "glass"))
        faces += box(ordered(side * 1.22, side * 1.45), (1.6, 2.1), (3.3, 3.4), "dark")
        faces.append(pane(side, half, (0.55, 0.85), (rear + 2.2, 1.2), "rim"))
    faces += wheels((rear + 0.8, rear + 1.85, 2.7), half - 0.04, 0.48) + lights(
        half, 3.615, rear - 0.012, (0.75, 0.95), 0.3
    )
    faces += [
        plate((-0.03, 0.03), (1.05, load - 0.05), rear - 0.012, "dark"),
        plate((-0.8, 0.8), (0.95, 1.25), 3.61, "dark"),
    ]
    return faces


def _bus(rng: np.random.Generator) -> list[Face]:
    half, roof = 1.27, float(rng.uniform(2.95, 3.15))
    end = float(rng.uniform(4.6, 5.6))
    profile = [
        (-end, 0.32),
        (-end - 0.03, 1.6),
        (-end + 0.1, roof - 0.1),
        (-end + 0.35, roof),
        (end - 0.4, roof),
        (end - 0.1, roof - 0.12),
        (end, 1.3),
        (end, 0.3),
    ]
    faces = prism(profile, half, "body") + wheels((-end * 0.55, end * 0.52), half, 0.48)
    faces += lights(half, end + 0.02, -end - 0.05, (0.62, 0.84), 0.36)
    panes = round(2 * end / 1.5)
    for side in (-1.0, 1.0):
        faces.append(pane(side, half, (0.34, 0.8), (-end + 0.05, end - 0.05), "stripe"))
        for index in range(panes):
            start = -end + 0.35 + index * (2 * end - 0.6) / panes
            width = (2 * end - 0.6) / panes - 0.12
            door = side > 0 and index in (panes - 1, panes // 2)
            faces.append(pane(side, half, (0.5 if door else 1.35, 2.45), (start, start + width), "glass"))
    faces += [
        plate((-1.14, 1.14), (1.15, 2.45), end + 0.02, "glass"),
        plate((-0.8, 0.8), (2.52, 2.8), end + 0.015, "display"),
    ]
    faces += [
        plate((-1.0, 1.0), (1.7, 2.5), -end - 0.045, "glass"),
        plate((-1.25, 1.25), (0.34, 0.58), end + 0.01, "stripe"),
    ]
    return faces


def _motorcycle(rng: np.random.Generator) -> list[Face]:
    faces = []
    for z in (-0.68, 0.72):
        angles = np.linspace(0, 2 * np.pi, 14, endpoint=False)
        circle = np.stack([np.zeros(14), np.sin(angles), np.cos(angles)], axis=1)
        for side in (-1.0, 1.0):
            outward, hub = np.array([side, 0.0, 0.0]), np.array([side * 0.07, 0.32, z])
            faces.append(Face(hub + circle * 0.32, outward, "tyre"))
            faces.append(Face(hub + circle * 0.21 + outward * 0.01, outward, "rim"))
        faces += box((-0.07, 0.07), (0.0, 0.64), (z - 0.2, z + 0.2), "tyre")
        faces += box((-0.07, 0.07), (0.16, 0.48), (z - 0.31, z + 0.31), "tyre")
    faces += prism([(-0.35, 0.28), (-0.4, 0.62), (0.35, 0.66), (0.3, 0.28)], 0.17, "dark")
    faces += prism([(-0.1, 0.62), (-0.1, 0.9), (0.3, 0.98), (0.45, 0.7)], 0.16, "body")
    faces += prism([(-0.95, 0.8), (-0.95, 0.9), (-0.1, 0.86), (-0.1, 0.68)], 0.13, "body")
    faces += prism([(-0.8, 0.88), (-0.78, 0.95), (-0.1, 0.9), (-0.12, 0.84)], 0.14, "dark")
    faces += prism([(0.42, 0.95), (0.55, 1.0), (0.78, 0.34), (0.68, 0.3)], 0.09, "rim")
    faces += box((-0.38, 0.38), (1.02, 1.07), (0.34, 0.4), "dark")
    faces += box((-0.12, 0.12), (0.82, 1.08), (0.5, 0.62), "body")
    faces += [plate((-0.09, 0.09), (0.86, 1.02), 0.635, "head"), plate((-0.1, 0.1), (0.78, 0.87), -0.965, "tail")]
    if rng.random() < 0.75:
        faces += prism([(-0.45, 0.9), (-0.38, 1.4), (-0.12, 1.5), (0.05, 1.4), (-0.1, 0.9)], 0.21, "jacket")
        faces += prism(
            [(-0.2, 1.5), (-0.26, 1.62), (-0.2, 1.76), (-0.04, 1.8), (0.08, 1.72), (0.09, 1.56), (0.0, 1.48)],
            0.13,
            "helmet",
        )
        for side in (-1.0, 1.0):
            faces += prism([(-0.1, 1.44), (0.02, 1.38), (0.4, 1.1), (0.34, 1.02)], 0.06, "jacket", side * 0.28)
            faces += prism([(-0.4, 0.86), (-0.36, 1.0), (0.12, 0.86), (0.2, 0.74)], 0.08, "trousers", side * 0.22)
            faces += prism([(0.06, 0.8), (0.2, 0.8), (0.06, 0.3), (-0.08, 0.3)], 0.07, "trousers", side * 0.22)
    return faces
