"""Processes that load data and die: noticed where a batch is fetched, by what signal they went, what they needed."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from umbel.contract.task_config import TaskConfig
from umbel.data.worker_counts import PREFETCH, shared_memory
from umbel.io.text import size_text

_PATIENCE = 1.0  # seconds until the system has told of a death


@contextmanager
def deaths_noticed_at_fetch() -> Iterator[None]:
    """Loaders that are opened in the block raise at the fetch of a batch, between two steps.

    torch's own handler of SIGCHLD raises in the middle of whatever runs, where no checkpoint can be written any more.
    """
    before = signal.getsignal(signal.SIGCHLD)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            is_torchs = getattr(before, "__module__", "").startswith("torch.")
            signal.signal(signal.SIGCHLD, signal.SIG_DFL if before is None or is_torchs else before)


def deaths(stream: object) -> str:
    """What became of the processes of a loader's iterator: "SIGKILL", "exit code 1"; "" if none has ended."""
    workers = getattr(stream, "_workers", ())
    until = time.monotonic() + _PATIENCE
    while workers and not any(worker.exitcode for worker in workers) and time.monotonic() < until:
        time.sleep(0.02)
    codes = dict.fromkeys(worker.exitcode for worker in workers if worker.exitcode)
    return ", ".join(signal.Signals(-code).name if code < 0 else f"exit code {code}" for code in codes)


def shared_memory_text(config: TaskConfig, workers: int) -> str:
    """How much shared memory the batches of a task take on their way; "" where no process loads them."""
    if not workers:
        return ""
    return (
        f"up to {workers * PREFETCH} batches of this task are on their way and as many as {workers} in use, "
        f"about {size_text(shared_memory(config, workers))}"
    )
