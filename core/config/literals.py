"""Text that stands for itself in a recipe, whatever it looks like: names out of data, paths, learnt values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from umbel.contract.errors import ConfigError

_OPENING = re.compile(r"(\\*)\$\{")

_TO_COME = "???"  # omegaconf's mark of a value that must be given, for which it has no escape


def literal(value: Any) -> Any:
    """A value as it must be put into an OmegaConf tree, or into the YAML of one, to come out of it as it is.

    Args:
        value: JSON types, nested as they like; tuples become lists. Keys stay: they are never interpolated.

    Raises:
        ConfigError: for the text "???", which no recipe can hold.
    """
    if isinstance(value, str):
        if value == _TO_COME:
            raise ConfigError(
                f"{value!r} cannot stand in a recipe: it means a value that is to come",
                hint="rename what is called so; a class_map renames classes",
            )
        return _OPENING.sub(_escape, value)
    if isinstance(value, Mapping):
        return {key: literal(item) for key, item in value.items()}
    return [literal(item) for item in value] if isinstance(value, (list, tuple)) else value


def literal_before_interpolation(text: str) -> str:
    """As `literal`, for text that an interpolation follows: it would take the backslashes before it for its own."""
    escaped = _OPENING.sub(_escape, text)
    return escaped + "\\" * (len(escaped) - len(escaped.rstrip("\\")))


def _escape(found: re.Match[str]) -> str:
    return found[1] * 2 + "\\${"
