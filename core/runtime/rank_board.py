"""What the ranks of a job write for each other into the store they met at: signs of life, reasons, and who is lost."""

from __future__ import annotations

import json
import socket
import time
from dataclasses import asdict, dataclass

from torch._C._distributed_c10d import PrefixStore, Store

from umbel.runtime.liveness import Process, machine_key
from umbel.runtime.ranks import Ranks

POLL = 0.5  # seconds between two looks

LAPSE = 2.0  # seconds that count at most between two looks: a machine may have slept, or have had no time

KILLED = "its process is gone without a word: killed, as the system does for want of memory, or crashed"


@dataclass(frozen=True)
class Lost:
    """The first rank that ended for another reason than all.

    Args:
        rank: its number; -1 for whatever keeps the store.
        host: its machine, "" if that is not known.
        cause: why, on one line.
    """

    rank: int
    host: str
    cause: str

    def text(self, world_size: int) -> str:
        who = (
            f"rank {self.rank} of {world_size}" if self.rank >= 0 else "the ranks' store, kept by rank 0 or a launcher,"
        )
        return f"{who}{f' ({self.host})' if self.host else ''} ended: {self.cause}"


class Board:
    """What the ranks write for each other into the store.

    Args:
        store: a connection for this thread alone.
        attempt: how often a launcher has started the job again.
        ranks: the job.

    Attributes:
        may_go: rank 0 has said that it leaves, and may take the store along.
        keeper: the process of rank 0, if it is on this machine.
    """

    def __init__(self, store: Store, attempt: str, ranks: Ranks) -> None:
        self.may_go = False
        self.keeper: Process | None = None
        self._store: Store = PrefixStore(f"umbel/watch/{attempt}", store)
        self._ranks = ranks
        self._host = socket.gethostname()
        self._beats = 0
        self._next = (ranks.rank + 1) % ranks.world_size
        self._next_beat, self._silent, self._looked = "", 0.0, time.monotonic()
        self._gone: set[int] = set()
        self._machine = f"machine/{machine_key()}"
        self._store.set(f"host/{ranks.rank}", self._host)
        self._store.append(self._machine, f"{Process.own(ranks.rank)} ")  # type: ignore[attr-defined]  # it has it

    def exchange(self, silence: float) -> Lost | None:
        """Give a sign, look for those of others; the first rank that was lost, if there is one."""
        self._beats += 1
        self._store.set(f"beat/{self._ranks.rank}", str(self._beats))
        self.may_go = self.may_go or self._has_left(0)
        if self._store.check(["lost"]):
            return self._first()
        for process in self._neighbours():
            if process.has_ended() and (found := self._miss(process.rank, KILLED)):
                return found
        return self._listen(silence)

    def leave(self, code: int, cause: str) -> None:
        """Say that this rank leaves, and why if that concerns the others."""
        rank = self._ranks.rank
        if cause:
            self._tell(Lost(rank, self._host, cause))
        self._store.set(f"left/{rank}", str(code))
        self._store.add("leaving", 1)

    def linger(self, seconds: float) -> None:
        """Wait until all have left, no longer than so."""
        deadline = time.monotonic() + seconds
        while self._store.add("leaving", 0) < self._ranks.world_size and time.monotonic() < deadline:
            time.sleep(0.02)

    def _neighbours(self) -> list[Process]:
        listed = self._store.get(self._machine).decode().split()
        here = [process for process in map(Process.parse, listed) if process.rank != self._ranks.rank]
        self.keeper = next((process for process in here if process.rank == 0), None)
        return [process for process in here if process.rank not in self._gone]

    def _listen(self, silence: float) -> Lost | None:
        """For the next rank; only time in which this one could listen counts."""
        now = time.monotonic()
        passed, self._looked = min(now - self._looked, LAPSE), now
        key = f"beat/{self._next}"
        beat = self._store.get(key).decode() if self._store.check([key]) else ""
        self._silent = 0.0 if beat != self._next_beat else self._silent + passed
        self._next_beat = beat
        if self._silent <= silence or self._next in self._gone:
            return None
        return self._miss(
            self._next, f"no sign of it for {silence:.0f} s: it is frozen, or its machine or network has failed"
        )

    def _miss(self, rank: int, cause: str) -> Lost | None:
        """A rank that is not there; it may have said that it leaves."""
        if self._has_left(rank):
            self._gone.add(rank)
            return self._first() if self._store.check(["lost"]) else None
        key = f"host/{rank}"
        host = self._store.get(key).decode() if self._store.check([key]) else ""
        return self._tell(Lost(rank, host, cause))

    def _has_left(self, rank: int) -> bool:
        return bool(self._store.check([f"left/{rank}"]))

    def _tell(self, lost: Lost) -> Lost:
        """Of several causes the first stays."""
        self._store.compare_set("lost", "", json.dumps(asdict(lost)))
        return self._first()

    def _first(self) -> Lost:
        return Lost(**json.loads(self._store.get("lost")))
