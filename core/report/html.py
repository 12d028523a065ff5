"""HTML and SVG that cannot be broken out of: every text is escaped where the element is made."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufffe\uffff]")

_VOID = ("meta", "img", "br", "hr")


class Markup(str):
    """Text that is markup already. Only this module makes it."""

    __slots__ = ()


def text(value: object) -> Markup:
    """A value as escaped text, without characters that no page may hold: controls, direction marks, half characters."""
    if isinstance(value, Markup):
        return value
    clean = _CONTROL.sub("\ufffd", str(value).encode("utf-8", "replace").decode("utf-8"))
    return Markup(html.escape(clean, quote=True))


def tag(name: str, attributes: Mapping[str, object] | None = None, *children: object) -> Markup:
    """An element.

    Args:
        name: its name, a constant of the program.
        attributes: values are escaped; one that is None is left out.
        children: Markup is taken as it is, anything else is escaped.
    """
    given = "".join(f' {key}="{text(value)}"' for key, value in (attributes or {}).items() if value is not None)
    if name in _VOID:
        return Markup(f"<{name}{given}>")
    return Markup(f"<{name}{given}>{''.join(text(child) for child in children)}</{name}>")


def join(*parts: Markup) -> Markup:
    """Elements one after the other."""
    return Markup("\n".join(part for part in parts if part))


def style(css: str) -> Markup:
    """A style element; `css` is a constant of the program."""
    return Markup(f"<style>{css}</style>")
