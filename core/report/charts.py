"""Line charts as inline SVG, without a script: colours come from the page's style, values from tooltips."""

from __future__ import annotations

import math
from collections.abc import Sequence

from umbel.contract.figures import CurveFigure, Line
from umbel.report.html import Markup, tag
from umbel.report.numbers import short, tick_text, ticks

WIDTH, HEIGHT = 380, 230

LEFT, RIGHT, TOP, BOTTOM = 44, 10, 10, 36

COLOURS = 8  # of the page's palette

MARKED = 40  # points of a line that carry a tooltip

POINTS = 400  # of a line that are drawn


def line_chart(figure: CurveFigure) -> Markup:
    """A figure's lines with axes and, for several, a legend that wraps."""
    lines = [line for line in map(_finite, figure.lines) if line.x]
    if not lines:
        return tag("p", {"class": "empty"}, "nothing was measured")
    xs = [value for line in lines for value in line.x]
    ys = [value for line in lines for value in line.y]
    x_range = (0.0 if 0 < min(xs) < 0.1 * max(xs) else min(xs), max(xs))
    y_low, y_high = figure.y_range if figure.y_range else _padded(min(ys), max(ys))
    y_range = (float(y_low), float(y_high))
    drawn = [_axes(x_range, y_range, figure)]
    for index, line in enumerate(lines):
        drawn.append(_line(line, index, x_range, y_range))
    label = f"{figure.title}: {figure.y_label} over {figure.x_label}"
    svg = tag("svg", {"viewBox": f"0 0 {WIDTH} {HEIGHT}", "role": "img", "aria-label": label}, *drawn)
    return (
        tag("div", {"class": "chart"}, _legend(lines), svg) if len(lines) > 1 else tag("div", {"class": "chart"}, svg)
    )


def colour_class(index: int) -> str:
    """The class of the palette's colour; past its end grey."""
    return f"c{index + 1}" if index < COLOURS else "c0"


def _legend(lines: Sequence[Line]) -> Markup:
    keys = [
        tag("li", {}, tag("i", {"class": f"key {colour_class(index)}"}), line.name)
        for index, line in enumerate(lines[:COLOURS])
    ]
    if len(lines) > COLOURS:
        keys.append(tag("li", {}, tag("i", {"class": "key c0"}), f"{len(lines) - COLOURS} others"))
    return tag("ul", {"class": "legend"}, *keys)


def _axes(x_range: tuple[float, float], y_range: tuple[float, float], figure: CurveFigure) -> Markup:
    parts: list[Markup] = []
    for value in ticks(*y_range):
        y = _y(value, y_range)
        parts.append(tag("line", {"class": "grid", "x1": LEFT, "x2": WIDTH - RIGHT, "y1": y, "y2": y}))
        parts.append(tag("text", {"class": "tick", "x": LEFT - 6, "y": y + 4, "text-anchor": "end"}, tick_text(value)))
    for value in ticks(*x_range, count=4):
        x = _x(value, x_range)
        anchor = "end" if x > WIDTH - RIGHT - 12 else "middle"
        where = {"class": "tick", "x": x, "y": HEIGHT - BOTTOM + 15, "text-anchor": anchor}
        parts.append(tag("text", where, tick_text(value)))
    ground = HEIGHT - BOTTOM
    parts.append(tag("line", {"class": "axis", "x1": LEFT, "x2": WIDTH - RIGHT, "y1": ground, "y2": ground}))
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(tag("text", {"class": "label", "x": middle, "y": HEIGHT - 4, "text-anchor": "middle"}, figure.x_label))
    return tag("g", {}, *parts)


def _line(line: Line, index: int, x_range: tuple[float, float], y_range: tuple[float, float]) -> Markup:
    stride = max(1, math.ceil(len(line.x) / POINTS))
    chosen = sorted({*range(0, len(line.x), stride), len(line.x) - 1})
    points = [(line.x[i], line.y[i]) for i in chosen]
    places = [(_x(x, x_range), _y(y, y_range)) for x, y in points]
    path = " ".join(f"{'L' if i else 'M'}{x} {y}" for i, (x, y) in enumerate(places))
    colour = colour_class(index)
    parts = [tag("path", {"class": f"line {colour}", "d": path})] if len(places) > 1 else []
    every = max(1, math.ceil(len(points) / MARKED))
    for i in sorted({*range(0, len(points), every), len(points) - 1}):
        (x, y), (px, py) = points[i], places[i]
        says = tag("title", {}, f"{line.name} {short(y)} at {short(x)}")
        seen = "dot" if len(points) <= 12 else "dot hidden"
        parts.append(tag("circle", {"class": f"{seen} {colour}", "cx": px, "cy": py, "r": 3.5}, says))
    return tag("g", {}, *parts)


def _finite(line: Line) -> Line:
    pairs = [(x, y) for x, y in zip(line.x, line.y, strict=False) if math.isfinite(x) and math.isfinite(y)]
    return Line(line.name, [x for x, _ in pairs], [y for _, y in pairs])


def _padded(low: float, high: float) -> tuple[float, float]:
    """A range around the values that touches 0 where it is near, and is never empty."""
    if 0 <= low < 0.5 * high:
        low = 0.0
    spread = (high - low) or abs(high) or 1.0
    return (low if low == 0 else low - 0.05 * spread, high + 0.05 * spread)


def _x(value: float, x_range: tuple[float, float]) -> float:
    low, high = x_range
    share = (value - low) / (high - low) if high > low else 0.5
    return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)


def _y(value: float, y_range: tuple[float, float]) -> float:
    low, high = y_range
    share = min(1.0, max(0.0, (value - low) / (high - low))) if high > low else 0.5
    return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)
