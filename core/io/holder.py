"""Who holds a folder: host, process, since when, for which command; as the lock file says it."""

from __future__ import annotations

import json
import os
import socket
import time
from dataclasses import asdict, dataclass
from pathlib import Path

_LONGEST = 100  # characters of a value that are shown: the file may hold anything


@dataclass(frozen=True)
class Holder:
    """A process that writes a folder.

    Args:
        host: name of its machine.
        boot: id of the machine's start, the same for all containers on it; "" where the system has none.
        pid: its number.
        started: when the process started, in ticks since then: two processes may have one number, not both.
        since: local time at which it took the folder.
        command: what it does there, without its arguments, which may hold secrets.
    """

    host: str
    boot: str
    pid: int
    started: int
    since: str
    command: str

    @property
    def here(self) -> bool:
        """Whether it is or was a process of this machine, as it runs now."""
        return (self.boot or self.host) == (_boot() or socket.gethostname())

    @property
    def lives(self) -> bool:
        """Whether the process is there; to be asked on its own machine."""
        return self.started == _started(self.pid)

    def __str__(self) -> str:
        return f"{self.command} (process {self.pid} on {self.host}, since {self.since})"

    def to_bytes(self) -> bytes:
        return (json.dumps(asdict(self)) + "\n").encode()


def myself(command: str) -> Holder:
    """This process, from now on."""
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    return Holder(
        host=socket.gethostname(),
        boot=_boot(),
        pid=os.getpid(),
        started=_started(os.getpid()),
        since=since,
        command=command,
    )


def parse_holder(content: bytes) -> Holder | None:
    """The holder that a lock file names; None for one that is empty, cut or not a lock file."""
    try:
        found = json.loads(content)
        texts = {key: str(found[key])[:_LONGEST] for key in ("host", "boot", "since", "command")}
        return Holder(**texts, pid=int(found["pid"]), started=int(found["started"]))
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def _started(pid: int) -> int:
    """When a process started; 0 where there is no such process, or the system does not say."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
        return int(stat.rpartition(")")[2].split()[19])  # behind the name, which may hold anything
    except (OSError, ValueError, IndexError):
        pass
    if os.path.isdir("/proc/self"):
        return 0
    try:  # a system without /proc
        os.kill(pid, 0)
    except PermissionError:
        return -1
    except (OSError, OverflowError):
        return 0
    return -1
