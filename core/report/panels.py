"""Figures as HTML: one function a kind of figure."""

from __future__ import annotations

import math
import re
from typing import Any

from umbel.contract.figures import BarFigure, CurveFigure, ExampleFigure, Figure, MatrixFigure, Picture, TableFigure
from umbel.report.charts import line_chart
from umbel.report.html import Markup, tag
from umbel.report.matrix import matrix
from umbel.report.numbers import short

FEW_BARS = 24  # more are folded away behind the first ones

NARROW_TABLE, NARROW_MATRIX = 4, 10  # columns that fit a third of a page

SMALL = 200  # pixels: of smaller pictures more fit in a row

_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")


def panel(figure: Figure) -> Markup:
    """A figure in its frame, with title and note."""
    wide = (
        isinstance(figure, ExampleFigure)
        or (isinstance(figure, TableFigure) and len(figure.columns) > NARROW_TABLE)
        or (isinstance(figure, MatrixFigure) and len(figure.columns) > NARROW_MATRIX)
    )
    return tag(
        "figure",
        {"class": "panel wide" if wide else "panel"},
        tag("figcaption", {}, figure.title),
        _body(figure),
        tag("p", {"class": "note"}, figure.note) if figure.note else "",
    )


def _body(figure: Figure) -> Markup:
    if isinstance(figure, TableFigure):
        return table(figure.columns, figure.rows)
    if isinstance(figure, BarFigure):
        return _bars(figure)
    if isinstance(figure, CurveFigure):
        return line_chart(figure)
    if isinstance(figure, MatrixFigure):
        return matrix(figure)
    return _examples(figure)


def table(columns: list[str], rows: list[list[Any]]) -> Markup:
    """A table that scrolls inside its frame where the page is narrow."""
    numeric = [all(not isinstance(row[i], str) for row in rows if i < len(row)) for i in range(len(columns))]
    head = [
        tag("th", {"class": "number" if right else None}, name) for name, right in zip(columns, numeric, strict=True)
    ]
    body = []
    for row in rows:
        cells = [
            tag("td", {"class": "number"}, short(cell)) if isinstance(cell, (int, float)) or cell is None
            else tag("td", {"class": "number" if right else None}, cell)
            for cell, right in zip(row, numeric, strict=False)
        ]  # fmt: skip
        body.append(tag("tr", {}, *cells))
    whole = tag("table", {}, tag("thead", {}, tag("tr", {}, *head)), tag("tbody", {}, *body))
    return tag("div", {"class": "scroll"}, whole)


def _bars(figure: BarFigure) -> Markup:
    details = figure.details or [""] * len(figure.labels)
    rows = []
    for label, value, detail in zip(figure.labels, figure.values, details, strict=False):
        known = value is not None and math.isfinite(value)
        share = min(1.0, max(0.0, (value or 0.0) / figure.top)) if known and figure.top else 0.0
        says = f"{label}: {short(value)}" + (f" ({detail})" if detail else "")
        rows.append(
            tag(
                "li",
                {"title": says},
                tag("span", {"class": "name"}, label),
                tag("span", {"class": "track"}, tag("i", {"style": f"width:{100 * share:.1f}%"})),
                tag("span", {"class": "value"}, short(value)),
                tag("span", {"class": "detail"}, detail) if any(details) else "",
            )
        )
    shown = tag("ul", {"class": "bars"}, *rows[:FEW_BARS])
    if len(rows) <= FEW_BARS:
        return shown
    rest = tag("ul", {"class": "bars"}, *rows[FEW_BARS:])
    return tag("div", {}, shown, tag("details", {}, tag("summary", {}, f"{len(rows) - FEW_BARS} more"), rest))


def _examples(figure: ExampleFigure) -> Markup:
    shown = []
    for example in figure.examples:
        pictures = [
            tag(
                "figure",
                {},
                _image(one, example.caption),
                tag("figcaption", {}, one.label),
            )
            for one in example.pictures
            if _BASE64.fullmatch(one.jpeg)  # a file that was tampered with shows no picture
        ]
        shown.append(
            tag("div", {"class": "example"}, tag("p", {}, example.caption), tag("div", {"class": "pair"}, *pictures))
        )
    widths = [one.width for example in figure.examples for one in example.pictures]
    small = bool(widths) and 0 < max(widths) <= SMALL
    return tag("div", {"class": "examples small" if small else "examples"}, *shown)


def _image(shown: Picture, caption: str) -> Markup:
    size = {"width": shown.width or None, "height": shown.height or None}
    source = f"data:image/jpeg;base64,{shown.jpeg}"
    return tag("img", {"src": source, **size, "alt": f"{shown.label} of {caption}"})
