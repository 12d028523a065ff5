"""Going on after a fault in the data, where somebody asked for all faults and not only for the first.

Readers mark the parts that can be left out with `tolerate`. Ordinarily it does nothing: the first fault ends all.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from umbel.contract.errors import DataError

_found: ContextVar[list[DataError] | None] = ContextVar("faults", default=None)

_deferring: ContextVar[bool] = ContextVar("deferring", default=False)


@contextmanager
def collect_faults() -> Iterator[list[DataError]]:
    """Within it every tolerated fault is left out and noted in the list given, in order."""
    found: list[DataError] = []
    token = _found.set(found)
    try:
        yield found
    finally:
        _found.reset(token)


@contextmanager
def defer_faults() -> Iterator[None]:
    """Within it a fault of a single sample does not stop a data set from being opened; reading the sample raises it."""
    token = _deferring.set(True)
    try:
        yield
    finally:
        _deferring.reset(token)


@contextmanager
def tolerate(kind: str = "", *, of_sample: bool = False) -> Iterator[None]:
    """Mark a part of reading that can be left out: an entry of a list, a file of a folder.

    Args:
        kind: what its faults are called in reports, unless they say so themselves.
        of_sample: the fault will come again when the sample is read, so it is not noted here.
    """
    try:
        yield
    except DataError as error:
        found = _found.get()
        if found is None and not (of_sample and _deferring.get()):
            raise
        error.kind = error.kind or kind
        if found is not None and not of_sample:
            found.append(error)
