"""Which files umbel wrote: nothing else is ever replaced.

A folder that umbel writes into gets a small hidden record: the size, time and SHA-256 of each file, and what it is. A
file that is in it and unchanged may be replaced by one of the same sort. Names are recorded before they are written, so
that a command that was killed can be run again.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from umbel.contract.errors import ConfigError, DataError
from umbel.io.files import read_json, sha256, write_json

RECORD = ".umbel-written.json"

_Entries = dict[str, dict[str, Any]]


@contextmanager
def writing(
    root: Path, names: Iterable[str], what: str, *, inputs: Iterable[Path] = (), replace: bool = False
) -> Iterator[None]:
    """Within it these files are written, some of them or all; before it nothing is touched.

    Args:
        root: folder that gets them.
        names: their paths in it.
        what: the sort of files, such as "report": only the same sort is replaced.
        inputs: files that are read meanwhile, none of which may be written.
        replace: whatever is there may be replaced, as the user has said.

    Raises:
        ConfigError: one exists that umbel did not write, or that is an input.
        DataError: the folder cannot be written.
    """
    names = list(names)
    refuse_foreign(root, names, what, inputs=inputs, replace=replace)
    _record(root, {name: {"what": what} for name in names})
    try:
        yield
    finally:
        with suppress(DataError, OSError):  # a full disk: they stay as announced
            _record(root, {name: _entry(root / name, what) for name in names})


def refuse_foreign(
    root: Path, names: Iterable[str], what: str, *, inputs: Iterable[Path] = (), replace: bool = False
) -> None:
    """ConfigError if a file that would be written exists and is not one that umbel wrote; see `writing`."""
    known = _read(root)
    read = {_key(path) for path in inputs} - {None}
    for name in names:
        path = root / name
        if not os.path.lexists(path):
            continue
        if _key(path) in read:
            raise ConfigError(
                "is read by this command and would be overwritten", where=str(path), hint="write to another place"
            )
        if not replace and (reason := _foreign(path, known.get(name), what)):
            raise ConfigError(f"exists, and {reason}", where=str(path), hint="move it away, or write to another place")


def write_new(path: Path, what: str, *, inputs: Iterable[Path] = (), replace: bool = False) -> Any:
    """`writing` for a single file, whose record is kept beside it."""
    return writing(path.parent, [path.name], what, inputs=inputs, replace=replace)


def _foreign(path: Path, entry: dict[str, Any] | None, what: str) -> str:
    """Why a file that exists may not be replaced; "" if it may."""
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode):
        return "is no plain file"
    if entry is None:
        return "umbel did not write it"
    if entry.get("what") != what:
        return f"umbel wrote it as something else ({entry.get('what')})"
    if "sha256" not in entry:  # it was about to be written when that command was killed
        return ""
    if entry.get("bytes") == status.st_size and entry.get("mtime_ns") == status.st_mtime_ns:
        return ""
    changed = entry.get("bytes") != status.st_size or entry["sha256"] != sha256(path)
    return "it has been changed since umbel wrote it" if changed else ""


def _record(root: Path, entries: dict[str, dict[str, Any] | None]) -> None:
    known = {**_read(root), **entries}
    kept = {name: entry for name, entry in known.items() if entry is not None}
    if kept:
        try:
            write_json(root / RECORD, {"format": 1, "files": kept})
        except DataError as error:
            error.where = str(root)
            raise
    else:
        (root / RECORD).unlink(missing_ok=True)


def _read(root: Path) -> _Entries:
    """What is known of a folder's files: nothing, where the record is gone or is not one."""
    path = root / RECORD
    if not path.is_file():
        return {}
    with suppress(DataError):
        content = read_json(path)
        files = content.get("files") if isinstance(content, dict) else None
        if isinstance(files, dict):
            return {str(name): entry for name, entry in files.items() if isinstance(entry, dict)}
    return {}


def _entry(path: Path, what: str) -> dict[str, Any] | None:
    if not path.is_file() or path.is_symlink():
        return None
    status = path.stat()
    return {"what": what, "bytes": status.st_size, "mtime_ns": status.st_mtime_ns, "sha256": sha256(path)}


def _key(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
