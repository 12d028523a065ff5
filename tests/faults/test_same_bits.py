"""The same seed gives the same bits: fresh processes beside a changing load, one machine, one number of threads."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from trio_data import write_trio

RUNS = 3


@contextmanager
def changing_load() -> Iterator[None]:
    """Busy processes, none to two, that come and go."""
    done, generator = threading.Event(), random.Random(0)

    def work() -> None:
        busy: list[subprocess.Popen[bytes]] = []
        while not done.wait(generator.uniform(0.2, 1.0)):
            if len(busy) < generator.randint(0, 2):
                busy.append(subprocess.Popen([sys.executable, "-c", "while True: pass"]))
            elif busy:
                _end(busy.pop())
        for process in busy:
            _end(process)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def checksums(run: Path) -> dict[str, str]:
    """Of weights, optimizer and scores."""
    (checkpoint,) = (run / "checkpoints").glob("step-*")
    files = [*checkpoint.glob("*.safetensors"), run / "scores.json"]
    assert {"model.safetensors", "optimizer.safetensors"} <= {file.name for file in files}
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@pytest.mark.slow
def test_fresh_runs_beside_a_changing_load_have_one_set_of_bits(tmp_path: Path) -> None:
    recipe = write_trio(tmp_path)
    found = []
    environment = {**os.environ, "OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "passive"}  # no spinning beside a load
    with changing_load():
        for number in range(RUNS):
            command = [sys.executable, "-m", "umbel", "train", str(recipe), "train.steps=3", "train.device=cpu", "-q"]
            run = tmp_path / f"run{number}"
            subprocess.run([*command, "--out", str(run)], check=True, env=environment)
            found.append(checksums(run))
    assert found == [found[0]] * RUNS
