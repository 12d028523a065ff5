"""Confusion matrices as inline SVG, and as a list of the largest confusions where there are too many classes."""

from __future__ import annotations

from umbel.contract.figures import MatrixFigure
from umbel.report.html import Markup, tag
from umbel.report.numbers import short

MOST = 30  # rows that are still drawn as a matrix

LISTED = 15

LONGEST = 14  # characters of a label


def matrix(figure: MatrixFigure) -> Markup:
    """Shares of each row as shades of one hue, each cell with its count as tooltip."""
    if len(figure.rows) > MOST or len(figure.columns) > MOST:
        return _largest(figure)
    few = max(len(figure.rows), len(figure.columns)) <= 10
    cell = 32 if few else 22
    left = 8 + 6.4 * max([3, *(min(LONGEST, len(name)) for name in figure.rows)])
    top = 8 + 5.0 * max([3, *(min(LONGEST, len(name)) for name in figure.columns)])
    width, height = (
        left + cell * len(figure.columns) + 4 * min(LONGEST, len(figure.columns[-1])),
        top + cell * len(figure.rows) + 4,
    )
    parts: list[Markup] = []
    for column, name in enumerate(figure.columns):
        x = left + cell * (column + 0.5)
        turn = f"rotate(-45 {x:.1f} {top - 6:.1f})"
        parts.append(
            tag("text", {"class": "tick", "x": f"{x:.1f}", "y": f"{top - 6:.1f}", "transform": turn}, _cut(name))
        )
    for row, name in enumerate(figure.rows):
        y = top + cell * row
        where = {"class": "tick", "x": f"{left - 6:.1f}", "y": f"{y + cell / 2 + 4:.1f}", "text-anchor": "end"}
        parts.append(tag("text", where, _cut(name)))
        total = sum(figure.counts[row]) or 1.0
        for column, count in enumerate(figure.counts[row]):
            says = f"{name} seen as {figure.columns[column]}: {short(count)} ({count / total:.1%})"
            parts.append(_cell(left + cell * column, y, cell, count / total, says))
    size = {"viewBox": f"0 0 {width:.0f} {height:.0f}", "style": f"width:{width:.0f}px"}
    svg = tag("svg", {**size, "role": "img", "aria-label": figure.title}, *parts)
    return tag("div", {"class": "matrix" if few else "scroll matrix many"}, svg)


def _cell(x: float, y: float, side: int, share: float, says: str) -> Markup:
    box = {"class": "cell", "x": f"{x + 1:.1f}", "y": f"{y + 1:.1f}", "width": side - 2, "height": side - 2, "rx": 3}
    parts = [
        tag("rect", {**box, "class": "ground"}),
        tag("rect", {**box, "fill-opacity": f"{share:.3f}"}),
    ]
    if share >= 0.005:
        where = {"x": f"{x + side / 2:.1f}", "y": f"{y + side / 2 + 3.5:.1f}", "text-anchor": "middle"}
        shade = "count strong" if share > 0.72 else "count"
        parts.append(tag("text", {**where, "class": shade}, f"{100 * share:.0f}"))
    return tag("g", {}, *parts, tag("title", {}, says))


def _largest(figure: MatrixFigure) -> Markup:
    pairs = [
        (count, row, column)
        for row, counts in enumerate(figure.counts)
        for column, count in enumerate(counts)
        if count and figure.rows[row] != figure.columns[column]
    ]
    pairs.sort(reverse=True)
    lines = [
        tag("li", {}, f"{figure.rows[row]} seen as {figure.columns[column]}: {short(count)}")
        for count, row, column in pairs[:LISTED]
    ]
    return tag("ol", {"class": "confusions"}, *lines) if lines else tag("p", {"class": "empty"}, "none")


def _cut(name: str) -> str:
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"
