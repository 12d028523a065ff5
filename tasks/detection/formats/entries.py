"""Taking apart annotation files that nobody has checked."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any

from umbel import DataError, read_lines, skip_invalid

_PEEK_BYTES = 4096

_JSON_NAMES = {int: "an integer", float: "a number", str: "a string", list: "a list", dict: "an object"}


def read_small_file(path: Path, limit: int) -> list[str]:
    """Non-empty lines of a text file of at most `limit` bytes; DataError for a larger one."""
    if path.is_file() and path.stat().st_size > limit:
        raise DataError(f"is larger than {limit:,} bytes; no sound annotation file of its kind is", where=str(path))
    return read_lines(path)


def first_key(path: Path) -> str | None:
    """The first key of a JSON object, by its first bytes alone; None if there is none or no such file."""
    if not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            start = file.read(_PEEK_BYTES)
    except OSError:
        return None
    found = re.match(rb'(?:\xef\xbb\xbf)?\s*\{\s*"([^"\\]*)"', start)
    return found[1].decode("utf-8", "replace") if found else None


def get_field(entry: Any, key: str, kind: type | tuple[type, ...], path: Path, name: str = "an entry") -> Any:
    """A value of a JSON object, of a wanted type; a bool is no number.

    Raises:
        DataError: the entry is no object, lacks the key, or the value is of another type; calls the entry `name`.
    """
    if not isinstance(entry, Mapping) or key not in entry:
        raise DataError(f"{name} has no {key!r}: {str(entry)[:120]}", where=str(path))
    if not isinstance(entry[key], kind) or isinstance(entry[key], bool):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        raise DataError(
            f"{name} has {key} {str(entry[key])[:80]!r}, of the wrong type",
            where=str(path),
            hint=f"expected {' or '.join(_JSON_NAMES[kind] for kind in kinds)}",
        )
    return entry[key]


def to_float(value: float) -> float:
    """A JSON number as a float; integers of any length are allowed there."""
    try:
        return float(value)
    except OverflowError:
        return float("inf")


def refuse_twice(values: Iterable[Hashable], what: str, path: Path) -> None:
    """DataError that names a value that comes again."""
    seen: set[Hashable] = set()
    for value in values:
        with skip_invalid("duplicate-id"):
            if value in seen:
                raise DataError(f"{what} {value!r} is given twice", where=str(path), hint="keep one")
        seen.add(value)
