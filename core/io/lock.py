"""One writer a folder: a lock that says who holds it, ends with its process, and is re-entered by its own thread.

The system's lock (flock) decides. It is the kernel's, so a killed owner leaves none; on NFS it is the server's. Forked
processes, such as loader workers that outlive a killed owner, let go of it at once. Where a file system has no locks,
or those of another machine are not seen, the file's content decides, and whether its time moves: the owner touches it.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from umbel.contract.errors import BusyError, DataError
from umbel.io.holder import Holder, myself, parse_holder

try:
    import fcntl
except ImportError:  # not POSIX
    fcntl = None  # type: ignore[assignment]

LOCK_FILE = ".umbel.io.lock"

BEAT = 4.0  # seconds between two signs of life

_WATCHED = 3 * BEAT  # seconds without one after which the owner on another machine counts as dead

_OLD = 600.0  # seconds after which nobody waits for a sign

_PAUSE = 0.3  # seconds after which, without the system's locks, the last of those who wrote at once has won

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOTTY)

_HINT = "wait until it has ended, stop it, or write to another folder"

log = logging.getLogger(__name__)


class _Lock:
    """A lock that this process holds.

    Args:
        path: its file.
        descriptor: of the open file; the system's lock is on it.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path, self.descriptor, self.thread = path, descriptor, threading.get_ident()
        self._released = threading.Event()
        self.key = _key(os.fstat(descriptor))
        _held[self.key] = self
        threading.Thread(target=self._live, name="lock", daemon=True).start()

    def release(self) -> None:
        """Remove the file, then let go: who opens it in between finds that it is gone, and opens the next."""
        self._released.set()
        if _held.pop(self.key, None) is not self:  # a forked process: the lock is its parent's
            return
        with suppress(OSError):
            if _key(os.stat(self.path)) == self.key:
                os.unlink(self.path)
        os.close(self.descriptor)

    def _live(self) -> None:
        while not self._released.wait(BEAT):
            with suppress(OSError):
                os.utime(self.path)


_held: dict[tuple[int, int], _Lock] = {}


def _let_go() -> None:
    for lock in _held.values():
        with suppress(OSError):
            os.close(lock.descriptor)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)


@contextmanager
def hold(folder: Path, command: str) -> Iterator[None]:
    """Within it no other process, and no other thread of this one, holds the folder.

    Args:
        folder: made if need be, and removed again if nothing was written into it.
        command: what is done there, for those who are refused; without arguments, which may hold secrets.

    Raises:
        BusyError: another holds it; the message says who.
        DataError: the folder cannot be written.
    """
    if _is_mine(folder / LOCK_FILE):
        yield
        return
    made = _missing(folder)
    try:
        lock = _take(folder, command)
        try:
            yield
        finally:
            lock.release()
    finally:
        for path in made:  # innermost first; one that holds something stays
            with suppress(OSError):
                path.rmdir()


def _is_mine(path: Path) -> bool:
    try:
        lock = _held.get(_key(os.stat(path)))
    except OSError:
        return False
    return lock is not None and lock.thread == threading.get_ident()


def _missing(folder: Path) -> list[Path]:
    return [path for path in (folder, *folder.parents) if not path.exists()]


def _take(folder: Path, command: str) -> _Lock:
    path = folder / LOCK_FILE
    while True:
        descriptor = _open(path)
        try:
            guarded = _lock(descriptor, path)
            if not _is_at(path, descriptor):  # its owner has removed it meanwhile
                os.close(descriptor)
                continue
            _check_content(path, descriptor, guarded=guarded)
            _write(path, descriptor, myself(command), guarded=guarded)
            return _Lock(path, descriptor)
        except BaseException:
            os.close(descriptor)
            raise


def _open(path: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
    for left in range(9, -1, -1):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return os.open(path, flags, 0o666)
        except FileNotFoundError:  # a folder that another has just removed again
            if not left:
                raise DataError("is removed again and again", where=str(path.parent)) from None
        except OSError as error:
            raise DataError(f"cannot be written: {error.strerror}", where=str(path.parent)) from None
    raise AssertionError


def _lock(descriptor: int, path: Path) -> bool:
    """Take the system's lock; False where there is none. BusyError if another has it."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return False
        if error.errno not in (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES):
            raise DataError(f"cannot be locked: {error.strerror}", where=str(path.parent)) from None
        raise _refusal(path, _reread(path)) from None
    return True


def _reread(path: Path) -> Holder | None:
    """Who holds it, once it has written so: until then the file is empty, or still names one who was killed."""
    holder = None
    for _ in range(20):
        with suppress(OSError):
            holder = parse_holder(path.read_bytes())
        if holder is not None and (holder.lives or not holder.here):
            break
        time.sleep(0.01)
    return holder


def _check_content(path: Path, descriptor: int, *, guarded: bool) -> None:
    """BusyError if the file names one who may still be there, though the system's lock does not say so."""
    holder = parse_holder(os.pread(descriptor, 4096, 0))
    if holder is None:
        return
    if holder.here:
        if not guarded and holder.lives:
            raise _refusal(path, holder)
    elif _beats(path, holder):
        raise _refusal(path, holder)


def _beats(path: Path, holder: Holder) -> bool:
    """Whether the owner on another machine touches its file while this one watches; clocks are not compared."""
    first = _sign(path)
    if first is None or abs(time.time() - first[0] / 1e9) > _OLD:
        return False
    log.warning("%s: waiting %g s to see whether %s has ended", path.parent, _WATCHED, holder)
    end = time.monotonic() + _WATCHED
    while time.monotonic() < end:
        time.sleep(BEAT / 8)
        if _sign(path) != first:
            return True
    return False


def _sign(path: Path) -> tuple[int, bytes] | None:
    """Time and content of a file, opened anew: a network file system then asks its server."""
    try:
        with path.open("rb") as file:
            return os.fstat(file.fileno()).st_mtime_ns, file.read(4096)
    except OSError:
        return None


def _write(path: Path, descriptor: int, holder: Holder, *, guarded: bool) -> None:
    with suppress(OSError):  # a full disk has locks all the same
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, holder.to_bytes(), 0)
    if not guarded:
        time.sleep(_PAUSE)
        found = _sign(path)
        winner = None if found is None else parse_holder(found[1])
        if winner != holder:
            raise _refusal(path, winner)


def _refusal(path: Path, holder: Holder | None) -> BusyError:
    who = str(holder) if holder else "a process that does not say who it is"
    return BusyError(f"is being written by {who}", where=str(path.parent), hint=_HINT)


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return _key(os.stat(path)) == _key(os.fstat(descriptor))
    except OSError:
        return False


def _key(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
