"""Going on after an error in the data, where somebody asked for all errors and not only for the first.

Readers mark the parts that can be left out with `skip_invalid`. Ordinarily it does nothing: the first error ends all.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from umbel.contract.errors import DataError

_found: ContextVar[list[DataError] | None] = ContextVar("errors", default=None)

_deferring: ContextVar[bool] = ContextVar("deferring", default=False)


@contextmanager
def collect_errors() -> Iterator[list[DataError]]:
    """Within it every skipped error is collected in the list given, in order."""
    found: list[DataError] = []
    token = _found.set(found)
    try:
        yield found
    finally:
        _found.reset(token)


@contextmanager
def defer_errors() -> Iterator[None]:
    """Within it an error of a single sample does not stop a data set from being opened; reading the sample raises
    it."""
    token = _deferring.set(True)
    try:
        yield
    finally:
        _deferring.reset(token)


@contextmanager
def skip_invalid(kind: str = "", *, of_sample: bool = False) -> Iterator[None]:
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
