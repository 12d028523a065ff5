"""Names that look the same and are not: of another Unicode form, with another blank, in other case."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

_LONGEST_FOLDER = 200_000  # entries of a folder that are compared with a missing name


def find_alike(name: str, known: Iterable[str]) -> str:
    """What to say where a name is unknown but another looks like it; empty where none does.

    For example "there is 'café.jpg' in another Unicode form".
    """
    key = _key(name).casefold()
    for other in known:
        if other != name and _key(other).casefold() == key:
            return f"there is {other!r}, {_difference(name, other)}"
    return ""


def find_confusable(names: Iterable[str]) -> tuple[str, str] | None:
    """Two names of a list that differ only in Unicode form or in a blank; None without such."""
    seen: dict[str, str] = {}
    for name in names:
        key = " ".join(unicodedata.normalize("NFC", name).split())  # not NFKC: m2 and m² are two
        other = seen.setdefault(key, name)
        if other != name:
            return other, name
    return None


def describe_difference(name: str, other: str) -> str:
    """How two names that look alike differ, with both spelt out in ASCII where that shows it."""
    return f"{_difference(name, other)}: {name!a} and {other!a}"


def missing_hint(path: Path) -> str:
    """What is there of a path that does not exist: a name that looks like it, or the nearest folder."""
    try:
        for parent in path.parents:
            if parent.is_dir():
                names = _names_in(parent, parent.stat().st_mtime_ns)
                alike = find_alike(path.relative_to(parent).parts[0], names)
                held = ", ".join([name for name in names if not name.startswith(".")][:8]) or "nothing"
                return f"{alike}, in {as_written(parent)}" if alike else f"{as_written(parent)} exists and holds {held}"
    except (OSError, ValueError):  # a folder that may not be listed, a name no file can have
        pass
    return "check the path"


def as_written(path: Path) -> str:
    """A path as it was given, and what it stands for where it is relative."""
    if path.is_absolute():
        return str(path)
    return f"{path} (that is {path.absolute()})"


@lru_cache(maxsize=4)  # a thousand missing images are in one folder
def _names_in(folder: Path, changed_ns: int) -> list[str]:
    return sorted(child.name for _, child in zip(range(_LONGEST_FOLDER), folder.iterdir(), strict=False))


def _key(name: str) -> str:
    """A name in one Unicode form, with single spaces and none around."""
    return " ".join(unicodedata.normalize("NFKC", name).replace("\u200b", "").split())


def _difference(name: str, other: str) -> str:
    if unicodedata.normalize("NFC", name) == unicodedata.normalize("NFC", other):
        return "in another Unicode form"
    if _key(name) == _key(other):
        one, two = ("".join(unicodedata.normalize("NFC", text).split()) for text in (name, other))
        return "with another blank" if one == two else "with other characters that look the same"
    return "in other case"
