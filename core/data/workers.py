"""The processes that load data."""

from __future__ import annotations

import os
import signal
import threading


def start_worker(worker: int) -> None:
    """Workers leave signals to the main process and use one thread each."""
    import cv2
    import torch

    leave_signals_to_parent()
    cv2.setNumThreads(0)
    torch.set_num_threads(1)


def leave_signals_to_parent() -> None:
    """For a worker process: it ends when its parent says so, not when a signal is sent to the whole group."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "SIGUSR1"):
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):  # not on macOS, where SIGTERM keeps ending a worker
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        threading.Thread(target=_obey_parent, daemon=True).start()


def _obey_parent() -> None:
    while signal.sigwaitinfo([signal.SIGTERM]).si_pid != os.getppid():
        pass
    os._exit(0)
