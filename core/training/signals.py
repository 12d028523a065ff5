"""SIGTERM, SIGINT and SIGUSR1 ask a run to stop at the next step boundary; a second one ends it at once."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

from umbel.contract.errors import StopRequestedError

if TYPE_CHECKING:
    from umbel.runtime.base import Runtime


SIGNALS = ("SIGTERM", "SIGINT", "SIGUSR1")  # SIGUSR1: what batch systems send some time before they kill

_ECHO = 0.1  # seconds in which further signals count as the first, sent to the group and to each process of it

_LAUNCHED_ECHO = 5.0  # a launcher forwards what the batch system has sent to all, each at its own pace


def signal_name(number: int) -> str:
    """The name of a signal, "" for 0."""
    return signal.Signals(number).name if number else ""


class StopRequest:
    """What the handlers leave behind: a number, looked at where it is safe to stop.

    Args:
        launched: a launcher started this process as one of several, and signals it too.

    Attributes:
        received: the first signal that came, 0 before.
        answered: a checkpoint is saved and the run is ending. Of several ranks the first to leave makes the launcher
            signal the others, which is no reason to end them before their report is written.
    """

    def __init__(self, *, launched: bool = False) -> None:
        self.received = 0
        self.answered = False
        self._launched = launched
        self._since = 0.0

    def agreed(self, runtime: Runtime) -> str:
        """The name of the signal that any rank has received, "" for none; every rank must call it."""
        import torch

        return signal_name(int(runtime.all_reduce_max(torch.tensor([float(self.received)]))[0]))

    def raise_if_received(self) -> None:
        """StopRequestedError if a signal has come; for one process alone, which needs nobody's agreement."""
        if self.received:
            raise StopRequestedError

    def handle(self, number: int, frame: FrameType | None) -> None:
        """The handler: a flag for the first signal, the default action for a second."""
        now = time.monotonic()
        if not self.received:
            self.received, self._since = number, now
        elif not self._is_echo(now):
            if number == signal.SIGINT:
                raise KeyboardInterrupt
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    def _is_echo(self, now: float) -> bool:
        if self._launched:
            return self.answered or now - self._since <= _LAUNCHED_ECHO
        return now - self._since <= _ECHO


_active: StopRequest | None = None


@contextmanager
def stop_signals(*, launched: bool = False) -> Iterator[StopRequest]:
    """Inside the block the signals only leave a request; the handlers from before are put back after it.

    A block inside a block shares its request. Outside the main thread, which alone may have handlers, nothing is
    caught.

    Args:
        launched: a launcher started this process as one of several.
    """
    global _active
    if _active is not None:
        yield _active
        return
    request = StopRequest(launched=launched)
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        numbers = [getattr(signal, name) for name in SIGNALS if hasattr(signal, name)]
        before = {number: signal.signal(number, request.handle) for number in numbers}
    _active = request
    try:
        yield request
    finally:
        _active = None
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
