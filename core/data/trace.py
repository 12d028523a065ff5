"""Which image files a piece of code reads, noted by the image reader itself."""

from __future__ import annotations

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
