"""Reading and writing small files with errors that name them."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from umbel.errors import DataError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")


def read_bytes(path: Path) -> bytes:
    """The content of a file; DataError names what is in the way."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise DataError("no such file", where=str(path), hint=_nearest_folder(path)) from None
    except IsADirectoryError:
        raise DataError("is a folder, not a file", where=str(path)) from None
    except (OSError, ValueError) as error:
        raise DataError(f"cannot be read: {error}", where=str(path)) from None


def read_text(path: Path) -> str:
    """The UTF-8 text of a file, with or without a byte order mark."""
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"is not UTF-8 text: {error.reason} at byte {error.start}", where=str(path)) from None


def read_lines(path: Path) -> list[str]:
    """Non-empty lines of a text file, stripped."""
    return [line.strip() for line in read_text(path).splitlines() if line.strip()]


def read_json(path: Path) -> Any:
    """The content of a JSON file."""
    try:
        return json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise DataError(f"is not valid JSON: {error}", where=str(path)) from None


def write_json(path: Path, value: Any) -> None:
    """Write JSON so that a reader never sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(json.dumps(value, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    os.replace(temporary, path)


def to_jsonable(value: Any) -> Any:
    """Dataclasses, tensors, arrays and containers of them as JSON types."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_jsonable(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Mapping):
        return {str(key): to_jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_jsonable(item) for item in value]
    return value


def list_images(folder: Path) -> list[Path]:
    """Image files directly inside a folder, sorted by name; DataError if the folder is missing."""
    if not folder.is_dir():
        raise DataError("no such folder", where=str(folder), hint=_nearest_folder(folder))
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)


def resolve_under(root: Path, name: str, *, source: str) -> Path:
    """The file `name` inside `root`, refusing names that lead out of it.

    Args:
        root: the folder that annotation entries are relative to.
        name: an entry of an annotation file, not to be trusted.
        source: the annotation file, for the error.
    """
    if not name or "\0" in name or Path(name).is_absolute() or ".." in Path(name).parts:
        raise DataError(f"entry {name!r} does not name a file inside {root}", where=source, hint="use relative names")
    return root / name


def _nearest_folder(path: Path) -> str:
    for parent in path.parents:
        if parent.is_dir():
            names = sorted(child.name for child in parent.iterdir())[:8]
            return f"{parent.resolve()} exists and holds {', '.join(names) if names else 'nothing'}"
    return "check the path"
