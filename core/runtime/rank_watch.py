"""The ranks of a job watch each other, so that the end of one ends all, with its cause on one line.

A rank that waits for a GPU runs no Python in its main thread, neither a handler nor an `except`: a thread does. What
the ranks tell each other goes through the store they met at, by a connection of its own. Each rank tells its cause
before it leaves. One that can tell nothing is missed by those of its machine, whom the kernel tells, or by the rank
before it, for whom it is silent.
"""

from __future__ import annotations

import atexit
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from types import TracebackType

from torch._C._distributed_c10d import Store, TCPStore

from umbel.contract.errors import LOST_RANK_CODE
from umbel.runtime.rank_board import KILLED, LAPSE, POLL, Board, Lost
from umbel.runtime.ranks import Ranks, exit_now

SILENCE = 120.0  # seconds without a sign after which a rank counts as lost: its machine, its network, or it is frozen

_GRACE = 5.0  # seconds that the main thread has to leave by itself, once the cause is known

_SAVING = 60.0  # seconds more while a checkpoint is being written

_LINGER = 10.0  # seconds that rank 0, which may keep the store, waits for the others to leave

_HEARD = 2.0  # seconds that it waits after a fault: they have looked by then


class RankWatch:
    """Watches the other ranks in two threads: one talks to the store, one ends this process.

    Args:
        ranks: the job, of several processes.
        connect: opens a connection to the store that no other thread uses.
        silence: seconds without a sign after which a rank counts as lost.

    Attributes:
        last_words: what to add to the line of a rank that is lost, such as where to go on.
        is_saving: whether a checkpoint is being written, for which the end waits a while.
    """

    def __init__(self, ranks: Ranks, connect: Callable[[], Store], silence: float = SILENCE) -> None:
        self.ranks = ranks
        self.silence = silence
        self.last_words: Callable[[], str] = str
        self.is_saving: Callable[[], bool] = bool
        self._connect = connect
        self._attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")  # a launcher's store outlives its processes
        self._known, self._leaving, self._left = threading.Event(), threading.Event(), threading.Event()
        self._lost: Lost | None = None
        self._parting: tuple[int, str] = (0, "")
        self._turn = time.monotonic()  # when the store last answered

    def start(self) -> None:
        """Begin to watch, until `leave`."""
        for work in (self._talk, self._end_with_the_others):
            threading.Thread(target=work, name="rank-watch", daemon=True).start()

    def first_cause(self, patience: float = _GRACE) -> Lost | None:
        """Which rank was lost first, for one that has seen a connection break; None if that is not learnt in time.

        Args:
            patience: seconds to wait for it.
        """
        self._known.wait(patience)
        return self._lost

    def speaks(self) -> bool:
        """Whether this is a rank that tells people of one that is lost: rank 0, or rank 1 where that may be lost."""
        lost = self._lost
        return self.ranks.is_main_process or (self.ranks.rank == 1 and lost is not None and lost.rank <= 0)

    def leave(self, code: int, cause: str = "") -> None:
        """Say that this rank ends, and stop watching; waits for seconds at most.

        Args:
            code: of its exit.
            cause: what is wrong, if that concerns the others.
        """
        if self._leaving.is_set():
            return
        self._parting = code, cause
        self._leaving.set()
        lingers = self.ranks.is_main_process and not code
        self._left.wait(_GRACE + (_LINGER if lingers else 0))  # the store may not answer

    def line(self) -> str:
        """What is said of the rank that was lost."""
        assert self._lost is not None
        return "; ".join(filter(None, (self._lost.text(self.ranks.world_size), self.last_words())))

    def _talk(self) -> None:
        """Signs of life and death, through the store; an error of it is a lost store."""
        board: Board | None = None
        try:
            board = Board(self._connect(), self._attempt, self.ranks)
            while not self._leaving.wait(POLL):
                lost = board.exchange(self.silence)
                self._turn = time.monotonic()
                if lost is not None:
                    self._learn(lost)
            board.leave(*self._parting)
            if self.ranks.is_main_process:
                board.linger(_HEARD if self._parting[0] else _LINGER)
        except Exception as error:  # of a store that is gone
            if not (board is not None and board.may_go):
                self._learn(self._of_the_store(board, error))
        finally:
            self._left.set()

    def _of_the_store(self, board: Board | None, error: Exception) -> Lost:
        """Whose end took the store along."""
        time.sleep(POLL)  # a process that is killed closes its connections before it has ended
        if board is not None and board.keeper is not None and board.keeper.has_ended():
            return Lost(0, socket.gethostname(), KILLED)
        said = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        return Lost(-1, "", f"it does not answer any more ({said})")

    def _learn(self, lost: Lost) -> None:
        if self._lost is None:
            self._lost = lost
            self._known.set()

    def _end_with_the_others(self) -> None:
        """End this process once a rank is lost and the main thread does not do so itself."""
        turn, silent, looked = self._turn, 0.0, time.monotonic()
        while not self._known.wait(POLL):
            if self._leaving.is_set() or self._left.is_set():
                return
            now = time.monotonic()
            silent = silent + min(now - looked, LAPSE) if turn == self._turn else 0.0
            turn, looked = self._turn, now
            if silent > self.silence:
                self._learn(Lost(-1, "", f"it has not answered for {self.silence:.0f} s"))
        deadline = time.monotonic() + _GRACE
        while time.monotonic() < deadline + (_SAVING if self.is_saving() else 0):
            if self._leaving.wait(POLL):
                return
        if self.speaks():
            line = f"umbel: rank {self.ranks.rank}: error: {' '.join(self.line().split())}\n"
            os.write(2, line.encode(errors="replace"))  # the main thread may hold the lock of a stream
        os._exit(LOST_RANK_CODE)


_active: RankWatch | None = None


def watch_ranks(ranks: Ranks, silence: float = SILENCE) -> None:
    """Watch the other ranks of a job until this process ends, once a process; a single one has none to watch.

    Args:
        ranks: which have met: MASTER_ADDR and MASTER_PORT lead to their store.
        silence: seconds without a sign after which a rank counts as lost.
    """
    global _active
    if _active is not None or ranks.world_size == 1:
        return

    def connect() -> Store:
        return TCPStore(
            os.environ["MASTER_ADDR"],
            int(os.environ["MASTER_PORT"]),
            is_master=False,
            wait_for_workers=False,
            timeout=timedelta(seconds=silence),
        )

    _active = RankWatch(ranks, connect, silence)
    _active.start()
    atexit.register(_active.leave, 0)
    sys.excepthook = _tell_and_end(sys.excepthook)


def active_watch() -> RankWatch | None:
    """The watch of this process, if it is one of several."""
    return _active


def leave_and_exit(code: int, cause: str = "") -> None:
    """End a process of a distributed job at once, once the others know.

    Args:
        code: of its exit.
        cause: what is wrong, if that concerns the others.
    """
    if _active is not None:
        _active.leave(code, cause)
    exit_now(code)


def _tell_and_end(
    end: Callable[[type[BaseException], BaseException, TracebackType | None], object],
) -> Callable[[type[BaseException], BaseException, TracebackType | None], object]:
    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> object:
        if _active is not None:
            _active.leave(1, " ".join(f"{kind.__name__}: {error}".split()))
        return end(kind, error, trace)

    return hook
