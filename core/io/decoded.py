"""Images decoded once where several data sets read the same file, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

import numpy as np

_decoded: ContextVar[dict[str, np.ndarray] | None] = ContextVar("decoded", default=None)


@contextmanager
def decoded_once() -> Iterator[None]:
    """Within it `read_image` decodes a file once and gives every caller an array of its own."""
    token = _decoded.set({})
    try:
        yield
    finally:
        _decoded.reset(token)


def from_memory_or(decode: Callable[[Path], np.ndarray], path: Path) -> np.ndarray:
    """What `decode` gives for a file, or gave before within `decoded_once`; the array is the caller's."""
    kept = _decoded.get()
    if kept is None:
        return decode(path)
    key = str(path)
    if key not in kept:
        kept[key] = decode(path)
    return kept[key].copy()
