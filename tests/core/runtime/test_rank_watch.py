"""Ranks that watch each other, as real processes: who ends, with which code, and what is said."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
import torch.distributed as dist
from zero_toys import free_port, rank_environment

from umbel.contract.errors import LOST_RANK_CODE

pytestmark = pytest.mark.slow

RANK = """
import ctypes, sys, time
from umbel.runtime.rank_watch import active_watch, leave_and_exit, watch_ranks
from umbel.runtime.ranks import ranks_from_env

def wait_like_a_gpu():
    mutex = ctypes.create_string_buffer(64)
    for _ in range(2):  # the second never returns, lets go of the GIL, and no signal ends it
        ctypes.CDLL(None).pthread_mutex_lock(mutex)

watch_ranks(ranks_from_env(), silence=float(sys.argv[2]))
active_watch().last_words = lambda: "step 3 is good"
print("watching", flush=True)
what = sys.argv[1]
if what == "wait":
    wait_like_a_gpu()
input()  # until the test says so
if what == "leave":
    leave_and_exit(0)
if what == "fail":
    leave_and_exit(3, "a.png: is torn")
if what == "raise":
    raise ValueError("torn")
"""


@contextmanager
def job(*works: str, silence: float = 120.0) -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that watch each other, the store kept by this one."""
    port = free_port()
    store = dist.TCPStore("127.0.0.1", port, is_master=True, wait_for_workers=False, timeout=timedelta(seconds=60))
    ranks = [
        subprocess.Popen(
            [sys.executable, "-c", RANK, work, str(silence)],
            env=rank_environment(rank, len(works), port),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for rank, work in enumerate(works)
    ]  # fmt: skip
    try:
        for rank in ranks:
            assert rank.stdout is not None
            assert rank.stdout.readline() == "watching\n"
        keys = [f"umbel/watch/0/host/{rank}" for rank in range(len(works))]
        store.wait(keys)
        time.sleep(1.5)  # two looks
        yield ranks
    finally:
        for process in ranks:
            process.kill()
            process.communicate()


def told(process: subprocess.Popen[str], seconds: float = 30) -> str:
    """Let it go on, and wait for its end."""
    return process.communicate("\n", timeout=seconds)[1]


def test_a_killed_rank_ends_the_one_that_waits_for_a_gpu() -> None:
    with job("wait", "idle") as (first, second):
        started = time.monotonic()
        second.send_signal(signal.SIGKILL)
        error = first.communicate(timeout=30)[1]
        assert time.monotonic() - started < 20
        assert first.returncode == LOST_RANK_CODE
    assert error.startswith(f"umbel: rank 0: error: rank 1 of 2 ({os.uname().nodename}) ended: its process is gone")
    assert error.endswith("; step 3 is good\n")
    assert error.count("\n") == 1


def test_the_first_cause_is_told_once_and_by_rank_0() -> None:
    with job("wait", "fail", "wait") as (first, second, third):
        assert told(second) == ""
        errors = [process.communicate(timeout=30)[1] for process in (first, third)]
        assert [process.returncode for process in (first, second, third)] == [LOST_RANK_CODE, 3, LOST_RANK_CODE]
    assert f"rank 1 of 3 ({os.uname().nodename}) ended: a.png: is torn; step 3 is good" in errors[0]
    assert errors[1] == ""


def test_where_rank_0_is_lost_rank_1_tells() -> None:
    with job("raise", "wait", "wait") as (first, *others):
        assert "ValueError: torn" in told(first)
        errors = [process.communicate(timeout=30)[1] for process in others]
        assert [process.returncode for process in others] == [LOST_RANK_CODE] * 2
    assert "umbel: rank 1: error: rank 0 of 3" in errors[0]
    assert "ended: ValueError: torn" in errors[0]
    assert errors[1] == ""


def test_nobody_misses_a_rank_that_leaves() -> None:
    with job("wait", "leave") as (first, second):
        assert told(second) == ""
        assert second.returncode == 0
        with pytest.raises(subprocess.TimeoutExpired):
            first.wait(timeout=8)


def test_a_frozen_rank_is_missed_after_its_silence_and_no_sooner() -> None:
    with job("wait", "idle", silence=4) as (first, second):
        started = time.monotonic()
        second.send_signal(signal.SIGSTOP)
        error = first.communicate(timeout=40)[1]
        assert time.monotonic() - started > 4
        assert first.returncode == LOST_RANK_CODE
    assert "rank 1 of 2" in error
    assert "no sign of it for 4 s" in error


@pytest.mark.parametrize("work", ["wait", "idle"])
def test_a_rank_that_computes_long_is_not_missed(work: str) -> None:
    with job(work, work, silence=4) as ranks:
        time.sleep(8)
        assert [process.poll() for process in ranks] == [None, None]
