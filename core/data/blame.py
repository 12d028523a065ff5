"""What a data set or a transform raises for a sample, whatever it is, as a DataError that names the sample."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from umbel.errors import DataError, UmbelError
from umbel.signals import StopRequestedError

_LONGEST = 300  # characters of a message: some libraries put whole arrays into theirs


class WorkerTraceback(Exception):
    """Stands in for an error of another process, which cannot be sent with its traceback."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f"in a loader's worker\n{self.text}"


@contextmanager
def blame(task: str, sample: int | str) -> Iterator[None]:
    """Within it every error is the fault of one sample: a DataError with that of the data set as its cause.

    UmbelErrors pass, since they say what is wrong. So does MemoryError: it depends on the machine and not on the
    sample, and another one in its place would make two runs differ.

    Args:
        task: task name.
        sample: its number in the data set, or what else names it.

    Raises:
        DataError: with the kind of the error, its message, and the line that raised it.
    """
    try:
        yield
    except (UmbelError, StopRequestedError, MemoryError):
        raise
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        said = " ".join(str(error).split())[:_LONGEST]
        blamed = DataError(
            f"cannot be used: {type(error).__name__}: {said} ({Path(last.filename).name}:{last.lineno})",
            where=f"task '{task}', sample {sample}",
        )
        blamed.trace = traceback.format_exc()
        raise blamed from error


def with_cause(error: UmbelError) -> UmbelError:
    """An error from a worker with the cause that it had there, for people who ask for the traceback."""
    if isinstance(error, DataError) and error.trace and error.__cause__ is None:
        error.__cause__ = WorkerTraceback(error.trace)
    return error
