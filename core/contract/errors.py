"""Errors a user can act on: what was wrong, where, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class UmbelError(Exception):
    """Base of every error umbel raises on purpose; the command line prints it on one line.

    Args:
        message: what was wrong, naming the offending value.
        where: file, recipe key, task, plugin or sample.
        hint: what is available or what to do.
        kind: one word or two for reports that count and filter, such as "truncated".

    Attributes:
        trace: traceback of the error behind it, as text: it comes along from another process, which its cause does not.
    """

    exit_code = 2
    label = "error"
    trace = ""

    def __init__(self, message: str, *, where: str = "", hint: str = "", kind: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint
        self.kind = kind

    def __str__(self) -> str:
        where = f"{self.where}: " if self.where else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{where}{self.message}{hint}"


class ConfigError(UmbelError):
    """A recipe or an override is wrong."""


class PluginError(UmbelError):
    """A plugin is missing, broken, blocked or collides with another."""


class DataError(UmbelError):
    """An image, label or annotation file cannot be used."""

    exit_code = 3


class BusyError(UmbelError):
    """Another process, or another thread of this one, is writing the same folder."""


class ElsewhereError(UmbelError):
    """This process ends because rank 0 has been refused, which says why."""


class CheckpointError(UmbelError):
    """A checkpoint or a weight file cannot be used."""

    exit_code = 3


class TrainingError(UmbelError):
    """Training cannot go on, for example because a loss is not finite."""

    exit_code = 1


class InterruptedRunError(UmbelError):
    """A signal stopped training at a step boundary, after a checkpoint: resume it."""

    exit_code = 75
    label = "stopped"


@contextmanager
def of_task(name: str) -> Iterator[None]:
    """Within it a ConfigError or DataError says which task of the recipe it is about, unless it does already."""
    try:
        yield
    except (ConfigError, DataError) as error:
        if f"tasks.{name}" not in error.where:
            error.where = f"tasks.{name}: {error.where}" if error.where else f"tasks.{name}"
        raise


LOST_RANK_CODE = 69  # exit code of a rank that ends because another one has

_ECHOES = (
    *("gloo", "nccl", "connection closed by peer", "connection reset", "process group"),
    *("store->get", "tcpstore", "timed out waiting"),
)


def is_peer_failure(error: BaseException) -> bool:
    """Whether an error only says that another rank has ended or does not answer."""
    text = f"{type(error).__name__} {error}".lower()
    return isinstance(error, (RuntimeError, OSError)) and any(echo in text for echo in _ECHOES)


class StopRequestedError(Exception):
    """Breaks off work that a resumed run repeats."""
