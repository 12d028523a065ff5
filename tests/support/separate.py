"""Processes of their own, forked by a server that has never computed.

A fork of the test runner itself would wait for ever: torch's threads, which earlier tests have started, are not in it.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing.context import ForkServerContext, ForkServerProcess
from multiprocessing.synchronize import Event

from umbel.training.signals import SIGNALS

CONTEXT: ForkServerContext = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["umbel.training.session", "umbel.registry.plugins", "umbel.checkpoint.write", "toys"])


def start(work: Callable[..., object], *given: object) -> ForkServerProcess:
    """Starts a function of a module, and returns once a signal ends it as it ends any process.

    `join()` waits for it and `exitcode` is as `subprocess` has it.
    """
    begun = CONTEXT.Event()
    process = CONTEXT.Process(target=run_with_default_signals, args=(begun, work, *given))
    process.start()
    assert begun.wait(60), "the process does not begin"
    return process


def run_with_default_signals(begun: Event, work: Callable[..., object], *given: object) -> None:
    for name in SIGNALS:  # those of the server are not a training's: there an interrupt is code 1 without a word
        signal.signal(getattr(signal, name), signal.SIG_DFL)
    begun.set()
    work(*given)
    os._exit(0)
