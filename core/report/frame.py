"""The document around a report: head, policy, footer, grid."""

from __future__ import annotations

import re
from collections.abc import Sequence

from umbel.report.html import Markup, join, style, tag
from umbel.report.style import CSS
from umbel.version import __version__

# the browser itself refuses scripts and requests, whatever a file name may have smuggled in
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def document(title: str, body: Markup) -> str:
    """A whole page."""
    head = tag(
        "head",
        {},
        tag("meta", {"charset": "utf-8"}),
        tag("meta", {"http-equiv": "Content-Security-Policy", "content": POLICY}),
        tag("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        tag("meta", {"name": "referrer", "content": "no-referrer"}),
        tag("title", {}, f"{title} · umbel"),
        style(CSS),
    )
    footer = tag("footer", {}, f"Made by umbel {__version__}. This file needs nothing but itself.")
    page = tag("html", {"lang": "en"}, head, tag("body", {}, tag("main", {}, body, footer)))
    return f"<!doctype html>\n{page}\n"


def panels(shown: Sequence[Markup]) -> Markup:
    """Frames in a grid that fits the page's width."""
    return tag("div", {"class": "panels"}, join(*shown))


def tile(what: str, number: str, more: str) -> Markup:
    """One large number."""
    return tag(
        "div",
        {"class": "tile"},
        tag("div", {"class": "what"}, what),
        tag("div", {"class": "number"}, number),
        tag("div", {"class": "more"}, more),
    )


def anchor(name: str, prefix: str = "section") -> str:
    """An id for a heading."""
    return f"{prefix}-{re.sub('[^A-Za-z0-9_-]', '-', name)}"
