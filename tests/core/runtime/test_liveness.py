"""Whether a process lives: one that runs, one that was killed and not yet buried, one whose number is another's now."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace

from umbel.runtime.liveness import Process, machine_key


def test_this_process_lives_and_is_written_down_whole() -> None:
    own = Process.own(3)
    assert (own.rank, own.pid) == (3, os.getpid())
    assert Process.parse(str(own)) == own
    assert not own.has_ended()
    assert replace(own, start=own.start + "0").has_ended()  # the number was given to another process
    assert not replace(own, start="").has_ended()  # nothing is known of it


def test_a_killed_process_has_ended_before_its_parent_looks() -> None:
    told = (
        "from umbel.runtime.liveness import Process, machine_key as k; print(k(), Process.own(1), flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", told], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        machine, process = child.stdout.readline().split()
        assert machine == machine_key()
        found = Process.parse(process)
        assert found.pid == child.pid
        assert not found.has_ended()
        child.kill()
        deadline = time.monotonic() + 10
        while not found.has_ended() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert found.has_ended()  # a zombie until it is waited for
