"""Processes of their own, forked by a server that has never computed.

A fork of the test runner itself would wait for ever: torch's threads, which earlier tests have started, are not in it.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing.context import ForkServerContext, ForkServerProcess

from umbel.training.signals import SIGNALS

CONTEXT: ForkServerContext = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["umbel.training.prepare", "umbel.registry.plugins", "umbel.checkpoint.write", "toys"])


def start(work: Callable[..., object], *given: object) -> ForkServerProcess:
    """Starts a function of a module; `join()` waits for it and `exitcode` is as `subprocess` has it."""
    process = CONTEXT.Process(target=run_with_default_signals, args=(work, *given))
    process.start()
    return process


def run_with_default_signals(work: Callable[..., object], *given: object) -> None:
    for name in SIGNALS:  # those of the test runner are not a training's
        signal.signal(getattr(signal, name), signal.SIG_DFL)
    work(*given)
    os._exit(0)
