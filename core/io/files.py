"""Reading and writing small files with errors that name them."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import logging
import os
import stat
import time
import uuid
from pathlib import Path
from typing import Any

from umbel.contract.errors import DataError
from umbel.io.names import missing_hint
from umbel.io.read_trace import note_opened

RETRY_AFTER = (0.5, 5.0)  # seconds; three tries within six

_TRANSIENT = (errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EAGAIN, errno.EINTR, errno.ECONNRESET, errno.EREMOTEIO)

FEWEST_LINES, BYTES_A_LINE = 2_000_000, 16  # a list of more and shorter lines is refused: it fills the memory

FEWEST_PARTS, BYTES_A_PART = 5_000_000, 50  # the same of the objects and arrays of a JSON file

LONGEST_NAME, LONGEST_PATH = 255, 4095  # bytes that Linux takes

ALLOW_OUTSIDE = "UMBEL_ALLOW_OUTSIDE_ROOT"

log = logging.getLogger(__name__)


def read_bytes(path: Path) -> bytes:
    """The content of a file; DataError names what is in the way. Errors that may pass are tried again."""
    try:
        mode = path.stat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise DataError(
                "is a pipe or device, not a file", where=str(path), kind="no-file"
            )  # reading it might never end
        data = _read_patiently(path)
    except FileNotFoundError:
        raise DataError("no such file", kind="missing", where=str(path), hint=missing_hint(path)) from None
    except IsADirectoryError:
        raise DataError("is a folder, not a file", where=str(path), kind="no-file") from None
    except (OSError, ValueError) as error:
        raise DataError(f"cannot be read: {error}", where=str(path), kind="unreadable") from None
    note_opened(path, data)
    return data


def _read_patiently(path: Path) -> bytes:
    """The content, asked for again after errors that network file systems recover from."""
    for pause in RETRY_AFTER:
        try:
            return path.read_bytes()
        except OSError as error:
            if error.errno not in _TRANSIENT:
                raise
            log.warning("%s: %s; reading it again in %g s", path, error.strerror, pause)
            time.sleep(pause)
    return path.read_bytes()


def read_text(path: Path) -> str:
    """The UTF-8 text of a file, with or without a byte order mark."""
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"is not UTF-8 text: {error.reason} at byte {error.start}", where=str(path), kind="encoding"
        ) from None


def read_lines(path: Path) -> list[str]:
    """Non-empty lines of a text file, stripped."""
    return [line for line in _lines(path) if line]


def read_class_names(path: Path) -> list[str]:
    """Class names of a text file, one a line; a line's number is the id, so none among them may be blank."""
    lines = _lines(path)
    names = [line for line in lines if line]
    if lines[: len(names)] != names:
        raise DataError(
            f"line {lines.index('') + 1} is blank: are the classes after it meant to have other ids?",
            where=str(path),
            hint="write one class name a line",
            kind="annotation",
        )
    return names


def _lines(path: Path) -> list[str]:
    text = read_text(path)
    _refuse_flood(
        "lines",
        count=text.count("\n") + text.count("\r"),
        size=len(text),
        fewest=FEWEST_LINES,
        bytes_each=BYTES_A_LINE,
        path=path,
    )
    # not str.splitlines(): it also cuts at characters that may be part of a file name
    return [line.strip() for line in io.StringIO(text, newline=None)]


def read_json(path: Path) -> Any:
    """The content of a JSON file."""
    text = read_text(path)
    _refuse_flood(
        "parts",
        count=text.count("{") + text.count("["),
        size=len(text),
        fewest=FEWEST_PARTS,
        bytes_each=BYTES_A_PART,
        path=path,
    )
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"is not valid JSON: {error}", where=str(path), kind="annotation") from None


def _refuse_flood(what: str, *, count: int, size: int, fewest: int, bytes_each: int, path: Path) -> None:
    """DataError for a file of so many and so short parts that it takes many times its size in memory."""
    if count > max(fewest, size // bytes_each):
        raise DataError(
            f"has {count:,} {what} in {size:,} characters; no sound file is like that", where=str(path), kind="flood"
        )


def write_json(path: Path, value: Any) -> None:
    """Write JSON so that a reader never sees half a file; DataError for what JSON cannot hold, NaN among it."""
    try:
        text = json.dumps(value, indent=1, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise DataError(f"cannot be written as JSON: {error}", where=str(path)) from None
    write_bytes(path, (text + "\n").encode())


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, making its folder; DataError names what is in the way."""
    temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(data)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except (OSError, ValueError) as error:
        raise DataError(f"cannot be written: {error}", where=str(path)) from None


def resolve_under(root: Path, name: str, *, source: str) -> Path:
    """The file `name` inside `root`, refusing names that lead out of it.

    A link on the disk may lead out of `root` only into the folders of $UMBEL_ALLOW_OUTSIDE_ROOT, separated by ":": who
    made the archive of a data set made its links too. `root` itself may be a link.

    Args:
        root: the folder that annotation entries are relative to.
        name: an entry of an annotation file, not to be trusted; any JSON type.
        source: the annotation file, for the error.
    """
    parts = Path(name).parts if isinstance(name, str) else ()
    if not parts or "\0" in name or Path(name).is_absolute() or ".." in parts:
        raise DataError(
            f"entry {str(name)[:200]!r} does not name a file inside {root}",
            where=source,
            hint="use relative names",
            kind="path-escape",
        )
    path = root / name
    if not _can_exist(path):
        raise DataError(
            f"entry {name[:200]!r} is no name that a file can have",
            where=source,
            hint=f"names are text of at most {LONGEST_NAME} bytes",
            kind="missing",
        )
    target, allowed = os.path.realpath(path), [os.path.realpath(root), *_allowed_outside()]
    if not any(target.startswith(folder.rstrip(os.sep) + os.sep) for folder in allowed):
        raise DataError(
            f"entry {name[:200]!r} is a link that leads out of {root}, to {target}",
            where=source,
            hint=f"copy the file, or allow its folder by {ALLOW_OUTSIDE}=/FOLDER",
            kind="path-escape",
        )
    return path


def _can_exist(path: Path) -> bool:
    """Whether the system takes this path: too long a one, or half a character of JSON, makes it raise everywhere."""
    try:
        encoded = os.fsencode(path)
    except UnicodeEncodeError:
        return False
    return len(encoded) <= LONGEST_PATH and all(len(part) <= LONGEST_NAME for part in encoded.split(b"/"))


def _allowed_outside() -> list[str]:
    folders = os.environ.get(ALLOW_OUTSIDE, "").split(os.pathsep)
    return [os.path.realpath(folder) for folder in folders if folder]


_BLOCK = 1 << 20


def sha256(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
