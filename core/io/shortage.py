"""When the system refuses memory, files or processes: what ran out, by the facts at hand, and what to lower.

Errors are classified by type and message, as libraries raise them: nothing heavy is imported to look.
"""

from __future__ import annotations

import errno
import os
import re
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from umbel.contract.errors import TrainingError, UmbelError
from umbel.io.text import size_text

FILES_FIXED, FILES_A_WORKER = 64, 24  # open files of a training, and for each worker: its pipes and batches under way

_SHM = Path("/dev/shm")

_KILLED = re.compile(r"worker.*killed by signal: (?P<signal>[^.]+)|workers?.*(?P<lost>exited unexpectedly)", re.S)

_SHARED = re.compile(r"shared memory|/torch_\d+|unable to (mmap|resize|allocate shared)|unable to write to file", re.I)

_MEMORY = re.compile(
    r"can.?t allocate memory|cannot allocate memory|not enough memory|insufficient memory|out of memory|bad_alloc"
    r"|failed to allocate",
    re.I,
)

_FILES = re.compile(r"too many open files|received \d+ items of ancdata", re.I)

_PROCESSES = re.compile(r"resource temporarily unavailable|can.?t start new thread|cannot fork|pthread_create", re.I)


class ShortageError(TrainingError):
    """The system has refused memory, open files or processes."""


def explain(
    error: BaseException, where: str = "", lower: str = "", died: str = "", during: str = "", *, needed: str = ""
) -> ShortageError | None:
    """A ShortageError that says what ran out and what to lower, for an error that means so; else None.

    Args:
        error: what a library or the system raised.
        where: task or recipe key, if it is known.
        lower: recipe keys to lower, such as "tasks.road.batch_size".
        died: how the loading processes ended, such as "SIGKILL", if that is known.
        during: what memory was asked for, such as "the backward of 8 images of 64 x 96".
        needed: what shared memory is needed for, and how much, if that is known.
    """
    text = f"{type(error).__name__}: {error}"
    number = error.errno if isinstance(error, OSError) else None
    killed = _KILLED.search(text)
    workers = lower or "tasks.*.workers, batch_size or input_size"
    if killed or died:
        signal = died or ((killed and killed["signal"]) or "").strip()
        if "bus" in signal.lower():
            return _shared_memory(where, workers, needed)
        how = f"was killed ({signal})" if signal else "has ended unexpectedly"
        guess = "most likely for want of memory; " if signal.lower() in ("", "killed", "sigkill") else ""
        return ShortageError(
            f"a process that loads data {how}: {guess}{_memory()}; {_shm(needed)}",
            where=where,
            hint=f"lower {workers}; in Docker give --shm-size and --memory",
        )
    if number == errno.EMFILE or _FILES.search(text):
        return ShortageError(
            f"too many open files: {_open_files()}",
            where=where,
            hint=f"raise it with `ulimit -n`, or lower {lower or 'tasks.*.workers'}",
        )
    if _SHARED.search(text) and isinstance(error, (RuntimeError, OSError)):
        return _shared_memory(where, workers, needed)
    if is_out_of_memory(error):
        return _out_of_memory(error, where, lower, during)
    if number == errno.ENOENT and "No usable temporary directory" in text:
        return ShortageError("no folder for temporary files can be written", where=where, hint="set TMPDIR to one")
    if number == errno.EAGAIN or (isinstance(error, (RuntimeError, OSError)) and _PROCESSES.search(text)):
        limit = resource.getrlimit(resource.RLIMIT_NPROC)[0]
        said = "unlimited" if limit == resource.RLIM_INFINITY else f"{limit}"
        return ShortageError(
            f"the system starts no more processes or threads (`ulimit -u` is {said})",
            where=where,
            hint=f"raise it, or lower {lower or 'tasks.*.workers'} and OMP_NUM_THREADS",
        )
    return None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of Python, NumPy, torch or OpenCV means that memory does not suffice."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    known = isinstance(error, RuntimeError) or type(error).__module__ == "cv2"
    return known and bool(_MEMORY.search(str(error)))


@contextmanager
def explained(
    where: str = "", lower: str = "", died: Callable[[], str] | None = None, during: str = "", *, needed: str = ""
) -> Iterator[None]:
    """Within it an error that means a shortage becomes a ShortageError with the error as its cause; see `explain`."""
    try:
        yield
    except UmbelError:
        raise
    except Exception as error:
        # a batch of a process that died on its way shows as one of many errors of a connection
        lost = isinstance(error, (RuntimeError, OSError, EOFError)) and died is not None
        found = explain(error, where, lower, died() if lost and died is not None else "", during, needed=needed)
        if found is None:
            raise
        raise found from error


def allow_open_files(workers: int) -> None:
    """Raise the process's own limit on open files as far as it may, and see that it suffices.

    Args:
        workers: processes that will load data.

    Raises:
        ShortageError: if it does not; without files, loaders wait for ever and print a traceback for every batch.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_FIXED + FILES_A_WORKER * workers
    if soft == resource.RLIM_INFINITY or soft >= 4 * wanted:
        return
    most = 4 * wanted if hard == resource.RLIM_INFINITY else min(hard, max(soft, 4 * wanted))
    if most > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    if most < wanted:
        raise ShortageError(
            f"only {most} files may be open at once, and {workers} loading processes need {wanted}",
            where="`ulimit -n`",
            hint="raise it (`ulimit -n 4096`, LimitNOFILE= in systemd), or lower tasks.*.workers",
        )


def _out_of_memory(error: BaseException, where: str, lower: str, during: str) -> ShortageError:
    said = " ".join(str(error).split())
    asked = re.search(r"tried to allocate ([\d.]+ ?\w+)", said, re.I)
    size = asked[1] if asked else ""
    if size.endswith("bytes"):
        size = size_text(float(size.split()[0]))
    elif size.isdigit():
        size = size_text(float(size))
    gpu = type(error).__name__ == "OutOfMemoryError"
    facts = _gpu_memory(said) if gpu else _memory()
    advice = f"lower {lower or 'tasks.*.batch_size or input_size'}"
    if gpu:
        advice += "; PYTORCH_ALLOC_CONF=expandable_segments:True where much is reserved and not allocated"
    whose = "the GPU's" if gpu else "main"
    parts = [
        f"{whose} memory does not suffice{f' for {during}' if during else ''}",
        f": {size} more were asked for" if size else "",
        f"; {facts}" if facts else "",
    ]
    hint = f"{advice}; `umbel plan` says what a recipe needs"
    return ShortageError("".join(parts), where=where, hint=hint, kind="memory")


def _shared_memory(where: str, workers: str, needed: str) -> ShortageError:
    return ShortageError(
        f"shared memory does not suffice for batches on their way from the loading processes: {_shm(needed)}",
        where=where,
        hint=f"give more (`docker run --shm-size=8g`), or lower {workers}",
    )


def _gpu_memory(said: str) -> str:
    """Of torch's own message: what the device has, what is free, and what lies idle in torch's hands."""
    patterns = {
        "it has {}": r"total capacity of ([\d.]+ \w+)",
        "{} are free": r"of which ([\d.]+ \w+) is free",
        "{} are reserved and not allocated": r"([\d.]+ \w+) is reserved by PyTorch but unallocated",
    }
    found = ((text, re.search(pattern, said)) for text, pattern in patterns.items())
    return ", ".join(text.format(match[1]) for text, match in found if match)


def _memory() -> str:
    """Free main memory, and the limits of the control group and of the process where there are any."""
    said = []
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
        said.append(f"{size_text(free * 1024)} of memory are free now")
    except (OSError, StopIteration, ValueError):
        pass
    try:
        group = Path("/sys/fs/cgroup")
        limit = (group / "memory.max").read_text(encoding="ascii").strip()
        events = dict(line.split() for line in (group / "memory.events").read_text(encoding="ascii").splitlines())
        if limit.isdigit():
            said.append(f"the limit of this container is {size_text(int(limit))}")
        if int(events.get("oom_kill", "0")):
            said.append(f"the system has killed {events['oom_kill']} processes for want of memory here")
    except (OSError, ValueError):
        pass
    limit_here = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit_here != resource.RLIM_INFINITY:
        said.append(f"this process may have {size_text(limit_here)} of addresses (`ulimit -v`)")
    return ", ".join(said) or "how much memory is free is not known"


def _shm(needed: str) -> str:
    try:
        facts = os.statvfs(_SHM)
    except OSError:
        return f"there is no {_SHM}"
    size, free = size_text(facts.f_blocks * facts.f_frsize), size_text(facts.f_bavail * facts.f_frsize)
    return f"{_SHM} has {size}, {free} free{f'; {needed}' if needed else ''}"


def _open_files() -> str:
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    try:
        return f"{len(os.listdir('/proc/self/fd'))} of {soft} are open in this process"
    except OSError:
        return f"`ulimit -n` is {soft}"
