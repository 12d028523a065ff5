"""Listing the images of a folder, and counting what is in it besides."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from umbel.contract.errors import DataError
from umbel.io.names import missing_hint

IMAGE_SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".bmp", ".dib", ".webp", ".gif", ".tif", ".tiff", ".ppm",
    ".pgm", ".pbm", ".pnm",
)  # fmt: skip

_BESIDE = (  # that hold labels or words
    ".txt", ".xml", ".json", ".csv", ".yaml", ".yml", ".labels", ".names", ".data", ".md", ".html", ".cache",
)  # fmt: skip

_NO_DATA = ("thumbs.db", "desktop.ini", "ehthumbs.db", "icon\r")

_NO_FOLDERS = ("__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found")

log = logging.getLogger(__name__)

_noted: ContextVar[list[PassedOver] | None] = ContextVar("passed_over", default=None)

_said: set[str] = set()


@dataclass(frozen=True)
class PassedOver:
    """A file that was not listed.

    Args:
        path: of it.
        reason: what it is, such as ".heic" or "without suffix".
        perhaps_image: whether it may be an image that somebody meant to be read.
    """

    path: Path
    reason: str
    perhaps_image: bool


def list_images(folder: Path, *, nested: bool = False) -> list[Path]:
    """Image files inside a folder by their suffix, sorted by name, without hidden ones.

    What else is there is noted for `collect_passed_over`.

    Args:
        folder: whose images are listed.
        nested: those of its subfolders too; links to folders are not followed.

    Raises:
        DataError: the folder cannot be listed.
    """
    if not folder.is_dir():
        raise DataError("no such folder", kind="missing", where=str(folder), hint=missing_hint(folder))
    found: list[Path] = []
    folders = [folder]
    noted = _noted.get()
    while folders:
        here = folders.pop()
        try:
            with os.scandir(here) as entries:
                listed = list(entries)
        except OSError as error:
            raise DataError(f"cannot be listed: {error.strerror}", where=str(here), kind="unreadable") from None
        others: list[PassedOver] = []
        stems: set[str] = set()
        for entry in listed:
            path = here / entry.name
            if is_hidden(entry.name):
                continue
            if _is_dir(entry):
                if nested and not entry.is_symlink():
                    folders.append(path)
                elif nested:
                    others.append(PassedOver(path, "linked folder", True))
            elif path.suffix.lower() in IMAGE_SUFFIXES:
                found.append(path)
                stems.add(path.stem)
            elif noted is not None:
                others.append(_passed_over(path))
        if noted is not None:  # a label that lies beside its image is not passed over
            noted += [other for other in others if other.perhaps_image or other.path.stem not in stems]
    return sorted(found)


def is_hidden(name: str) -> bool:
    """Whether a file or folder is the system's and no data: hidden, a thumbnail cache, what archivers leave behind."""
    return name.startswith(".") or name.lower() in _NO_DATA or name in _NO_FOLDERS


@contextmanager
def collect_passed_over() -> Iterator[list[PassedOver]]:
    """Within it every file that `list_images` passes over is noted in the list given."""
    found: list[PassedOver] = []
    token = _noted.set(found)
    try:
        yield found
    finally:
        _noted.reset(token)


def describe_passed_over(found: Sequence[PassedOver]) -> str:
    """Counts by reason, such as "2 .heic, 1 without suffix (the first: a/b.heic)"; empty without any."""
    if not found:
        return ""
    counts = Counter(other.reason for other in found)
    listed = ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items(), key=lambda c: (-c[1], c[0])))
    return f"{listed} (the first: {min(other.path for other in found)})"


def say_passed_over(what: str, found: Sequence[PassedOver]) -> None:
    """Log, once, the files of a data set that may be images and were passed over."""
    meant = list(dict.fromkeys(other for other in found if other.perhaps_image))
    line = f"{what}: files passed over: {describe_passed_over(meant)}; umbel reads {', '.join(IMAGE_SUFFIXES)}"
    if meant and line not in _said:
        _said.add(line)
        log.warning("%s", line)


def _is_dir(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself; reading it as an image says so
        return False


def _passed_over(path: Path) -> PassedOver:
    suffix = path.suffix.lower()
    return PassedOver(path, suffix or "without suffix", suffix not in _BESIDE)
