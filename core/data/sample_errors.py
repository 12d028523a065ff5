"""What a data set or a transform raises for a sample, whatever it is, as a DataError that names the sample."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch.utils.data import Dataset

from umbel.contract.errors import UmbelError
from umbel.contract.task import Task
from umbel.contract.types import Sample
from umbel.registry.calls.fault import passes, spoilt
from umbel.registry.calls.guard import verify
from umbel.registry.calls.owner import owner_of
from umbel.registry.calls.task_rules import STORED

READ = "dataset()[index]"


class WorkerTraceback(Exception):
    """Stands in for an error of another process, which cannot be sent with its traceback."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f"in a loader's worker\n{self.text}"


@contextmanager
def sample_errors(task: Task[Any], sample: int | str, method: str = READ) -> Iterator[None]:
    """Within it every error becomes a DataError of one sample, with that of the task as its cause.

    UmbelErrors pass, since they say what is wrong. So does MemoryError: it depends on the machine and not on the
    sample, and another one in its place would make two runs differ.

    Args:
        task: whose data.
        sample: its number in the data set, or what else names it.
        method: what is called of the task.

    Raises:
        DataError: with the kind of the error, its message, and the line that raised it.
    """
    try:
        yield
    except Exception as error:
        if passes(error):
            raise
        raise spoilt(owner_of(task), method, error, str(sample)) from error


def read_sample(task: Task[Any], dataset: Dataset[Sample], index: int) -> Sample:
    """A sample of a task's data as stored.

    Raises:
        DataError: it cannot be read.
        PluginError: what the data set gives is no Sample with an image.
    """
    with sample_errors(task, index):
        stored = dataset[index]
    verify(task, READ, STORED, stored, sample=f"sample {index}")
    return stored


def with_worker_traceback(error: UmbelError) -> UmbelError:
    """An error from a worker with its traceback there as the cause, for people who ask for it."""
    if error.trace and error.__cause__ is None:
        error.__cause__ = WorkerTraceback(error.trace)
    return error
