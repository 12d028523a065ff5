"""Handlers leave a flag, and are gone afterwards."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from typing import Any

import pytest
import torch

from umbel.contract.errors import StopRequestedError
from umbel.data.workers import leave_signals_to_parent
from umbel.training.signals import SIGNALS, StopRequest, stop_signals

NUMBERS = [getattr(signal, name) for name in SIGNALS]


class Rank:
    """A runtime whose other ranks received something."""

    def __init__(self, others: float = 0.0) -> None:
        self.others = torch.tensor([others])

    def all_reduce_max(self, flags: torch.Tensor) -> torch.Tensor:
        return torch.maximum(flags, self.others)


@pytest.mark.parametrize("number", NUMBERS)
def test_first_signal_is_a_flag_and_handlers_are_restored(number: int) -> None:
    before = [signal.getsignal(each) for each in NUMBERS]
    with stop_signals() as request:
        assert request.agreed(Rank()) == ""
        request.raise_if_received()
        os.kill(os.getpid(), number)
        assert request.received == number
        assert request.agreed(Rank()) == signal.Signals(number).name
        with pytest.raises(StopRequestedError):
            request.raise_if_received()
        with stop_signals() as inner:
            assert inner is request
        assert signal.getsignal(number) == request.handle
    assert [signal.getsignal(each) for each in NUMBERS] == before
    with stop_signals() as fresh:
        assert fresh.received == 0


def test_handlers_are_restored_after_an_error() -> None:
    before = [signal.getsignal(each) for each in NUMBERS]
    with pytest.raises(RuntimeError, match="inside"), stop_signals():
        raise RuntimeError("inside")
    assert [signal.getsignal(each) for each in NUMBERS] == before


def test_another_ranks_signal_counts() -> None:
    assert StopRequest().agreed(Rank(float(signal.SIGTERM))) == "SIGTERM"


def test_second_interrupt_raises_but_not_an_echo_of_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with stop_signals() as request:
        os.kill(os.getpid(), signal.SIGINT)
        now[0] += 0.05
        os.kill(os.getpid(), signal.SIGTERM)  # as a launcher does with what the terminal sent to all
        assert request.received == signal.SIGINT
        now[0] += 0.2
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_signals_of_a_launcher_count_as_echoes(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    for answered in (False, True):
        with stop_signals(launched=True) as request:
            os.kill(os.getpid(), signal.SIGTERM)
            now[0] += 4.9  # a launcher on a busy machine has been slow to forward it
            os.kill(os.getpid(), signal.SIGINT)
            assert request.received == signal.SIGTERM
            request.answered = answered
            now[0] += 60  # another rank has left with its 75, and the launcher ends those that are left
            if answered:
                os.kill(os.getpid(), signal.SIGINT)
            else:
                with pytest.raises(KeyboardInterrupt):
                    os.kill(os.getpid(), signal.SIGINT)


def test_outside_the_main_thread_nothing_is_caught() -> None:
    before = [signal.getsignal(each) for each in NUMBERS]
    seen: list[Any] = []

    def work() -> None:
        with stop_signals() as request:
            seen.append((request.received, [signal.getsignal(each) for each in NUMBERS]))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(0, before)]


def _work(ready: Any) -> None:
    leave_signals_to_parent()
    ready.set()
    time.sleep(60)


def test_worker_leaves_signals_alone_and_ends_when_its_parent_says_so() -> None:
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    worker = context.Process(target=_work, args=(ready,), daemon=True)
    worker.start()
    assert ready.wait(60)
    assert worker.pid is not None
    for number in NUMBERS:  # from somebody who is not the parent
        stranger = context.Process(target=os.kill, args=(worker.pid, number))
        stranger.start()
        stranger.join(60)
    worker.join(0.3)
    assert worker.is_alive()
    worker.terminate()
    worker.join(60)
    assert worker.exitcode == 0
