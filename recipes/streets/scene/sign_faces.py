"""Pictures of traffic sign faces, drawn once and looked up by the signs of all scenes."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np

SIDE = 128

_RED, _BLUE = (0.74, 0.06, 0.08), (0.05, 0.27, 0.62)

_WHITE, _BLACK = (0.93, 0.93, 0.92), (0.05, 0.05, 0.05)

VARIANTS = {
    "speed_limit": ("20", "30", "40", "50", "60", "70", "80"),
    "stop": ("",),
    "yield": ("",),
    "no_entry": ("",),
    "warning": ("bend", "walker", "mark", "cross"),
    "mandatory": ("up", "right", "left"),
    "crosswalk": ("",),
    "traffic_light": ("red", "amber", "green"),
}


def outline(kind: str) -> np.ndarray:
    """Corners (N, 2) of the face in 0..1, right and down."""
    if kind == "stop":
        return _ring(8, np.pi / 8)
    if kind == "yield":
        return np.array([[0.0, 0.07], [1.0, 0.07], [0.5, 0.93]])
    if kind == "warning":
        return np.array([[0.5, 0.07], [1.0, 0.93], [0.0, 0.93]])
    if kind == "traffic_light":
        return np.array([[0.31, 0.0], [0.69, 0.0], [0.69, 1.0], [0.31, 1.0]])
    if kind == "crosswalk":
        return np.array([[0.03, 0.03], [0.97, 0.03], [0.97, 0.97], [0.03, 0.97]])
    return _ring(24, 0.0)


@cache
def face(kind: str, variant: str, level: int) -> np.ndarray:
    """Picture (SIDE >> level, same, 4) float32 of a face, the fourth number its glow; each level is half the size."""
    if level:
        shrunk: np.ndarray = cv2.resize(
            face(kind, variant, 0), None, fx=0.5**level, fy=0.5**level, interpolation=cv2.INTER_AREA
        )
        return shrunk
    picture = np.zeros((SIDE, SIDE, 4), np.uint8)  # drawn with smooth edges, which cv2 has for bytes only
    {
        "speed_limit": _speed_limit,
        "stop": _stop,
        "yield": _yield,
        "no_entry": _no_entry,
        "warning": _warning,
        "mandatory": _mandatory,
        "crosswalk": _crosswalk,
        "traffic_light": _traffic_light,
    }[kind](picture, variant)
    return picture.astype(np.float32) / 255


def _ring(count: int, start: float) -> np.ndarray:
    angles = start + np.arange(count) * 2 * np.pi / count
    return np.stack([0.5 + 0.5 * np.cos(angles), 0.5 + 0.5 * np.sin(angles)], axis=1)


def _ink(colour: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(255 * part for part in (*colour, 0.0)[:4])


def _fill(picture: np.ndarray, points: np.ndarray, colour: tuple[float, ...]) -> None:
    cv2.fillPoly(picture, [np.round(points * SIDE * 16).astype(np.int32)], _ink(colour), cv2.LINE_AA, 4)


def _circle(
    picture: np.ndarray, radius: float, colour: tuple[float, ...], centre: tuple[float, float] = (0.5, 0.5)
) -> None:
    _fill(picture, (_ring(40, 0.0) - 0.5) * radius * 2 + centre, colour)


def _shrink(points: np.ndarray, share: float, towards: tuple[float, float]) -> np.ndarray:
    return np.array(towards) + (points - towards) * share


def _text(picture: np.ndarray, text: str, scale: float, thickness: int, colour: tuple[float, ...]) -> None:
    (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)
    corner = ((SIDE - width) // 2, (SIDE + height) // 2)
    cv2.putText(picture, text, corner, cv2.FONT_HERSHEY_SIMPLEX, scale, _ink(colour), thickness, cv2.LINE_AA)


def _walker(picture: np.ndarray, scale: float, centre: tuple[float, float], colour: tuple[float, ...]) -> None:
    """A walking figure."""

    def spot(x: float, y: float) -> tuple[int, int]:
        return round((centre[0] + x * scale) * SIDE), round((centre[1] + y * scale) * SIDE)

    thick = max(2, round(0.11 * scale * SIDE))
    cv2.circle(picture, spot(0.05, -0.42), max(2, round(0.09 * scale * SIDE)), _ink(colour), -1, cv2.LINE_AA)
    hip = (0.0, 0.05)
    limbs = (
        ((0.03, -0.28), hip),
        (hip, (0.17, 0.24)),
        ((0.17, 0.24), (0.2, 0.48)),
        (hip, (-0.1, 0.26)),
        ((-0.1, 0.26), (-0.25, 0.45)),
        ((0.02, -0.22), (0.2, -0.03)),
        ((0.02, -0.22), (-0.16, -0.02)),
    )
    for start, end in limbs:
        cv2.line(picture, spot(*start), spot(*end), _ink(colour), thick, cv2.LINE_AA)


def _speed_limit(picture: np.ndarray, variant: str) -> None:
    _circle(picture, 0.52, _RED)
    _circle(picture, 0.38, _WHITE)
    _text(picture, variant, 1.75, 6, _BLACK)


def _stop(picture: np.ndarray, variant: str) -> None:
    octagon = outline("stop")
    _fill(picture, _shrink(octagon, 1.1, (0.5, 0.5)), _WHITE)
    _fill(picture, _shrink(octagon, 0.9, (0.5, 0.5)), _RED)
    _text(picture, "STOP", 1.3, 5, _WHITE)


def _yield(picture: np.ndarray, variant: str) -> None:
    _fill(picture, _shrink(outline("yield"), 1.1, (0.5, 0.36)), _RED)
    _fill(picture, _shrink(outline("yield"), 0.58, (0.5, 0.36)), _WHITE)


def _no_entry(picture: np.ndarray, variant: str) -> None:
    _circle(picture, 0.52, _WHITE)
    _circle(picture, 0.47, _RED)
    _fill(picture, np.array([[0.15, 0.41], [0.85, 0.41], [0.85, 0.59], [0.15, 0.59]]), _WHITE)


def _warning(picture: np.ndarray, variant: str) -> None:
    _fill(picture, _shrink(outline("warning"), 1.1, (0.5, 0.64)), _RED)
    _fill(picture, _shrink(outline("warning"), 0.64, (0.5, 0.64)), _WHITE)
    if variant == "walker":
        _walker(picture, 0.42, (0.5, 0.65), _BLACK)
    elif variant == "mark":
        _fill(picture, np.array([[0.45, 0.42], [0.55, 0.42], [0.52, 0.68], [0.48, 0.68]]), _BLACK)
        _circle(picture, 0.04, _BLACK, (0.5, 0.76))
    elif variant == "cross":
        _fill(picture, np.array([[0.46, 0.42], [0.54, 0.42], [0.54, 0.82], [0.46, 0.82]]), _BLACK)
        _fill(picture, np.array([[0.36, 0.58], [0.64, 0.58], [0.64, 0.66], [0.36, 0.66]]), _BLACK)
    else:
        bend = np.array([[0.45, 0.82], [0.45, 0.68], [0.56, 0.58], [0.56, 0.44]])
        cv2.polylines(picture, [np.round(bend * SIDE).astype(np.int32)], False, _ink(_BLACK), 9, cv2.LINE_AA)


def _mandatory(picture: np.ndarray, variant: str) -> None:
    _circle(picture, 0.52, _WHITE)
    _circle(picture, 0.47, _BLUE)
    arrow = (
        np.array([[0.5, 0.12], [0.74, 0.42], [0.57, 0.36], [0.57, 0.86], [0.43, 0.86], [0.43, 0.36], [0.26, 0.42]])
        - 0.5
    )
    if variant != "up":
        arrow = arrow[:, ::-1] * (-1, 1) if variant == "right" else arrow[:, ::-1]
    _fill(picture, arrow + 0.5, _WHITE)


def _crosswalk(picture: np.ndarray, variant: str) -> None:
    picture[:, :, :3] = _ink(_WHITE)[:3]
    _fill(picture, np.array([[0.07, 0.07], [0.93, 0.07], [0.93, 0.93], [0.07, 0.93]]), _BLUE)
    _fill(picture, np.array([[0.5, 0.12], [0.9, 0.84], [0.1, 0.84]]), _WHITE)
    _walker(picture, 0.5, (0.5, 0.56), _BLACK)


def _traffic_light(picture: np.ndarray, variant: str) -> None:
    picture[:, :, :3] = 19
    lamps = (("red", 0.19, (1.0, 0.10, 0.08)), ("amber", 0.5, (1.0, 0.65, 0.08)), ("green", 0.81, (0.12, 0.95, 0.45)))
    for name, y, colour in lamps:
        lit = name == variant
        shown = (*colour, 1.0) if lit else tuple(0.16 * part + 0.02 for part in colour)
        _circle(picture, 0.135, shown, (0.5, y))
