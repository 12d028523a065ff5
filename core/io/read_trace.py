"""Which files a piece of code reads, noted by the readers themselves."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ImageRead:
    """An image file that was read.

    Args:
        path: the file.
        data: its bytes.
        is_label_map: read for its values, not for its colours.
    """

    path: Path
    data: bytes
    is_label_map: bool


_reads: ContextVar[list[ImageRead] | None] = ContextVar("reads", default=None)


@contextmanager
def trace_reads() -> Iterator[list[ImageRead]]:
    """Within it every image file that is read is noted, readable or not."""
    reads: list[ImageRead] = []
    token = _reads.set(reads)
    try:
        yield reads
    finally:
        _reads.reset(token)


def note_read(path: Path, data: bytes, *, is_label_map: bool) -> None:
    """Called by the image reader."""
    reads = _reads.get()
    if reads is not None:
        reads.append(ImageRead(path, data, is_label_map))


_opened: ContextVar[dict[Path, str] | None] = ContextVar("opened", default=None)


@contextmanager
def trace_opened() -> Iterator[dict[Path, str]]:
    """Within it the BLAKE2b of every file that is read whole is noted: lists, annotations and images."""
    opened: dict[Path, str] = {}
    token = _opened.set(opened)
    try:
        yield opened
    finally:
        _opened.reset(token)


def note_opened(path: Path, data: bytes) -> None:
    """Called by the reader of files."""
    opened = _opened.get()
    if opened is not None:
        opened[path] = hashlib.blake2b(data, digest_size=16).hexdigest()
