"""Whether another process of this machine lives, as the kernel tells it: known at once, however it ended."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_ENDED = "ZXx"  # a zombie has ended, and waits for its parent to notice


@dataclass(frozen=True)
class Process:
    """A process of this machine; its number may be given again, to one with another start.

    Args:
        rank: its rank in the job.
        pid: its number.
        start: when it began, in ticks since the machine did; "" where the kernel does not say.
    """

    rank: int
    pid: int
    start: str

    @staticmethod
    def own(rank: int) -> Process:
        """This one."""
        return Process(rank, os.getpid(), _state_and_start(os.getpid())[1])

    @staticmethod
    def parse(text: str) -> Process:
        """What `str` gave."""
        rank, pid, start = text.split(":")
        return Process(int(rank), int(pid), start)

    def __str__(self) -> str:
        return f"{self.rank}:{self.pid}:{self.start}"

    def has_ended(self) -> bool:
        """Whether it is known to have ended; False where the kernel does not say."""
        if not self.start:
            return False
        state, start = _state_and_start(self.pid)
        return state in _ENDED or start != self.start


def machine_key() -> str:
    """The same for processes that see each other by number: of one machine, and in one container."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _state_and_start(pid: int) -> tuple[str, str]:
    """State and start of a process: ("X", "") if there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return "X", ""
    fields = text.rpartition(")")[2].split()  # its name, in brackets, may hold anything
    return fields[0], fields[19]
