"""What is said to people: nothing in it acts on a terminal, and where it cannot be said nothing else is lost.

The command line puts `Printable` streams in the place of stdout and stderr, so that all of its output, that of plugins
and of logging goes through one place. Observers, which also work under somebody else's program, take `tolerant` ones.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TextIO, cast

from umbel.io.text import printable_lines

_NUMBERS = (1, 2)  # of stdout and stderr


@dataclass
class _State:
    """What holds for the whole process.

    Args:
        training: a run depends on it; then a lost stream costs a warning and never the exit code.
        machine: stdout carries what programs read, into which no warning goes.
    """

    training: bool = False
    machine: bool = False


_state = _State()


class Tolerant:
    """A text stream that becomes silent, with a warning on the other one, when it cannot be written any more.

    Args:
        stream: the stream itself.

    Attributes:
        lost: why it could not be written; None while it can.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self.stream = stream or io.StringIO()  # Python has none where the process was started without one
        self.lost: Exception | None = None if stream else BrokenPipeError()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        self._try(lambda: self.stream.write(self._encodable(text)))
        return len(text)

    def flush(self) -> None:
        self._try(self.stream.flush)

    def _encodable(self, text: str) -> str:
        encoding = getattr(self.stream, "encoding", None) or "utf-8"
        try:
            text.encode(encoding)
        except UnicodeEncodeError:
            return text.encode(encoding, "backslashreplace").decode(encoding)
        return text

    def _try(self, work: Callable[[], object]) -> None:
        if self.lost is not None:
            return
        try:
            work()
        except (OSError, ValueError) as error:  # ValueError: it has been closed
            self.lost = error
            number = self._number()
            if number in _NUMBERS:
                with open(os.devnull, "wb") as nowhere:  # takes what is left in buffers, now and at the end
                    os.dup2(nowhere.fileno(), number)
            if not isinstance(error, ValueError):
                _say_lost(self.stream, error)

    def _number(self) -> int:
        try:
            return self.stream.fileno()
        except (OSError, ValueError, AttributeError):
            return 0


def _say_lost(stream: TextIO, error: Exception) -> None:
    """Say on the other stream that one is lost, where somebody is there to read it."""
    out, err = _bare(sys.stdout), _bare(sys.stderr)
    name = "stderr" if stream is err else "stdout" if stream is out else "a stream"
    if not _state.training and (name == "stdout" or isinstance(error, BrokenPipeError)):
        return  # `| head` has read enough, or the command ends with an error
    other = err if name != "stderr" else out if _state.training and not _state.machine else None
    if other is not None:
        reason = getattr(error, "strerror", None) or error
        with suppress(OSError, ValueError):
            other.write(f"umbel: warning: {name} cannot be written ({reason}); what follows there is lost\n")
            other.flush()


def _bare(stream: object) -> TextIO | None:
    """What is below tolerant and printable streams; None where there is nothing."""
    below = stream.tolerant if isinstance(stream, Printable) else stream
    if isinstance(below, Tolerant):
        return below.stream
    return cast("TextIO | None", below)


class Printable:
    """A text stream in which every character that would act on a terminal, but for line ends, is shown as an escape.

    Args:
        stream: where the text goes then.
    """

    def __init__(self, stream: Tolerant) -> None:
        self.tolerant = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self.tolerant, name)

    @property
    def encoding(self) -> str:
        """Never ASCII, for which click would go round this stream; what cannot be encoded is escaped."""
        found = str(getattr(self.tolerant, "encoding", None) or "utf-8")
        return "utf-8" if "ascii" in found.lower() or "646" in found else found

    def write(self, text: str) -> int:
        self.tolerant.write(printable_lines(text))
        return len(text)

    def flush(self) -> None:
        self.tolerant.flush()


def tolerant(stream: object) -> TextIO:
    """The stream, tolerant; without escapes, for those who style or have escaped what they write."""
    if isinstance(stream, Printable):
        return cast(TextIO, stream.tolerant)
    if isinstance(stream, Tolerant):
        return cast(TextIO, stream)
    return cast(TextIO, Tolerant(cast("TextIO | None", stream)))


def install() -> None:
    """Let this process speak through printable streams."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if not isinstance(stream, Printable):
            setattr(sys, name, Printable(cast(Tolerant, tolerant(stream))))


@contextmanager
def installed(*, for_ever: bool) -> Iterator[None]:
    """Within it the process speaks through printable streams.

    Args:
        for_ever: after it, too: the interpreter's own last words then are printable as well.
    """
    before, was = (sys.stdout, sys.stderr), (_state.training, _state.machine)
    install()
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        if not for_ever:
            sys.stdout, sys.stderr = before
            _state.training, _state.machine = was


def depend_on_run() -> None:
    """From here on a run is at stake: a stream that cannot be written costs a warning and not the exit code."""
    _state.training = True


def speak_to_machines() -> None:
    """Stdout carries what programs read."""
    _state.machine = True


def stdout_lost() -> Exception | None:
    """Why what the command was called for could not be written; None if it was, was not wanted, or a run was made."""
    sys.stdout.flush()
    error = getattr(sys.stdout, "lost", None)
    return None if _state.training or isinstance(error, BrokenPipeError) else error
