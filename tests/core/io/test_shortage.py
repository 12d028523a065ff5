"""What the system refuses is named with what to lower, and costs no step that was trained."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from toys import BrightDataset, BrightTask

from umbel.contract.errors import DataError
from umbel.contract.types import Sample
from umbel.io.shortage import ShortageError, allow_open_files, explain, explained
from umbel.io.text import size_text
from umbel.training.run import Run

Launch = Callable[..., Run]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. "), "was killed (Killed): most likely"),
        (RuntimeError("DataLoader worker (pid(s) 7, 8) exited unexpectedly"), "has ended unexpectedly"),
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Bus error. It is possible"), "shared memory"),
        (RuntimeError("unable to open shared memory object </torch_1> in read-write mode"), "shared memory"),
        (RuntimeError("unable to mmap 4096 bytes from file </torch_1>: Cannot allocate memory (12)"), "shared memory"),
        (RuntimeError("received 0 items of ancdata"), "too many open files"),
        (OSError(errno.EMFILE, "Too many open files"), "too many open files"),
        (MemoryError(), "main memory does not suffice"),
        (np._core._exceptions._ArrayMemoryError((1 << 40,), np.dtype("f8")), "main memory does not suffice"),
        (RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried to "
                      "allocate 4000000000 bytes. Error code 12"), "3.73 GiB more were asked for"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has"), "the GPU's memory"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "main memory does not suffice"),
        (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), "no more processes or threads"),
        (RuntimeError("can't start new thread"), "no more processes or threads"),
        (FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']"), "TMPDIR"),
    ],
)  # fmt: skip
def test_each_shortage_is_named(error: Exception, said: str) -> None:
    found = explain(error, "tasks.road", "tasks.road.batch_size")
    assert isinstance(found, ShortageError)
    assert found.exit_code == 1
    assert "\n" not in str(found)
    assert str(found).startswith("tasks.road: ")
    assert said in str(found)
    assert any(word in found.hint for word in ("tasks.road.batch_size", "shm", "TMPDIR"))


@pytest.mark.parametrize(
    "error", [ValueError("of memory"), RuntimeError("mat1 and mat2 shapes cannot be multiplied"), KeyError("worker"),
              DataError("too many open files"), FileNotFoundError(2, "no"), AssertionError()]
)  # fmt: skip
def test_other_errors_pass(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, explained("tasks.road"):
        raise error
    assert caught.value is error


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 bytes"), (1023, "1023 bytes"), (1024, "1.0 KiB"), (5 * 2**20, "5.0 MiB"),
                        (2**30, "1.00 GiB"), (3 * 2**40, "3.00 TiB")]
)  # fmt: skip
def test_sizes_in_units_that_fit(count: int, text: str) -> None:
    assert size_text(count) == text


class Deadly(BrightDataset):
    """Its sample 9 ends the process that reads it."""

    number = signal.SIGKILL

    def __getitem__(self, index: int) -> Sample:
        if index == 9 and os.environ["MAIN"] != str(os.getpid()) and "train" in self.name:
            os.kill(os.getpid(), self.number)
        return super().__getitem__(index)


@pytest.mark.parametrize(
    ("number", "said"), [(signal.SIGKILL, "was killed (SIGKILL): most likely for want of memory"),
                         (signal.SIGBUS, "shared memory does not suffice"), (signal.SIGSEGV, "was killed (SIGSEGV)")]
)  # fmt: skip
def test_a_dead_worker_is_named_and_what_was_trained_is_kept(
    launch: Launch, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, said: str
) -> None:
    monkeypatch.setenv("MAIN", str(os.getpid()))
    monkeypatch.setattr(Deadly, "number", number)
    monkeypatch.setattr(
        BrightTask, "dataset", lambda self, split: Deadly(f"{self.name}-{split}", self.options, self.config.input_size)
    )
    overrides = ("tasks.first.workers=1", "tasks.second=null", "tasks.first.options.count=64", "train.steps=40")
    with pytest.raises(ShortageError) as caught:
        launch("a", *overrides)
    assert said in str(caught.value)
    assert caught.value.where == "tasks.first"
    assert "tasks.first.workers (0 needs no shared memory)" in caught.value.hint
    assert "--shm-size" in caught.value.hint
    assert re.search(r"/dev/shm has \S+ \w+, \S+ \w+ free; up to 2 batches .* about \S+ KiB", str(caught.value))
    monkeypatch.setenv("MAIN", "")
    monkeypatch.setattr(Deadly, "number", 0)  # a signal that only asks whether the process lives
    resumed = launch("a", *overrides, resume=True)
    whole = launch("b", *overrides)
    (saved, *_) = sorted((resumed.directory / "checkpoints").glob("step-*"))
    assert 0 < int(saved.name.removeprefix("step-")) < 40
    for name, value in whole.runtime.weights().items():
        assert torch.equal(value, resumed.runtime.weights()[name])


def test_a_bad_sample_costs_no_step(launch: Launch, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(self: BrightDataset, index: int) -> Sample:
        if index == 9 and "train" in self.name:
            raise DataError("is torn", where="9.jpg")
        return plain(self, index)

    plain = BrightDataset.__getitem__
    with monkeypatch.context() as patch:
        patch.setattr(BrightDataset, "__getitem__", read)
        with pytest.raises(DataError, match="torn"):
            launch("a", "train.steps=40", "tasks.first.options.count=64")
    resumed = launch("a", "train.steps=40", "tasks.first.options.count=64", resume=True)
    whole = launch("b", "train.steps=40", "tasks.first.options.count=64")
    for name, value in whole.runtime.weights().items():
        assert torch.equal(value, resumed.runtime.weights()[name])


def test_no_loading_process_outlives_an_error(launch: Launch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though its traceback is kept, and with it every frame."""

    def greedy(self: BrightTask, output: Any, targets: Any) -> Any:
        if self.config.workers and multiprocessing.active_children():
            raise MemoryError("Tried to allocate 2.00 GiB")
        return plain(self, output, targets)

    plain = BrightTask.loss
    monkeypatch.setattr(BrightTask, "loss", greedy)
    with pytest.raises(ShortageError) as caught:
        launch("a", "tasks.first.workers=2")
    assert caught.value.__traceback__ is not None
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("kind", [MemoryError, torch.OutOfMemoryError])
def test_memory_that_does_not_suffice_names_task_and_batch(
    launch: Launch, monkeypatch: pytest.MonkeyPatch, kind: type[Exception]
) -> None:
    def greedy(self: BrightTask, output: Any, targets: Any) -> Any:
        raise kind("Tried to allocate 2.00 GiB")

    monkeypatch.setattr(BrightTask, "loss", greedy)
    with pytest.raises(ShortageError, match=r"tasks\.\w+: .*2\.00 GiB more.*tasks\.\w+\.batch_size"):
        launch("a")


def test_the_limit_on_open_files_is_raised_as_far_as_it_may() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
        allow_open_files(12)
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= 64 + 12 * 24
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


SHELL = """
import sys
import pytest, toys
from umbel.cli import main
from umbel.contract.hooks import hookimpl
from umbel.registry.plugins import Plugin, Plugins
plugins = Plugins()
plugins.register(toys.ToyPlugin(), Plugin("toy-tasks", "1.0", "toys"))
Plugins.discover = classmethod(lambda cls: plugins)
main(sys.argv[1:])
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("limits", "workers", "code", "said"),
    [
        ("ulimit -n 40", 2, 1, "files may be open at once"),
        ("ulimit -n 20", 2, 1, "open"),
        ("ulimit -Sn 60", 2, 0, ""),
        ("ulimit -f 8", 0, 3, "cannot be saved: File too large"),
        ("unset HOME", 2, 0, ""),
        ("export TMPDIR=/nowhere", 2, 0, ""),
    ],
)
def test_limits_of_a_shell_end_in_a_line(
    tmp_path: Path, recipe_file: Path, limits: str, workers: int, code: int, said: str
) -> None:
    (tmp_path / "run.py").write_text(SHELL)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "support"), "OMP_NUM_THREADS": "1"}
    command = (
        f"{limits}; exec {sys.executable} run.py train toy.yaml --out a train.steps=2 tasks.first.workers={workers}"
    )
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
    )
    assert "Traceback" not in done.stderr, done.stderr[-2000:]
    assert len(done.stderr) < 10_000
    if code == 0:
        assert done.returncode == 0, done.stderr[-2000:]
        assert "score" in json.loads((tmp_path / "a" / "scores.json").read_text())
    else:
        assert done.returncode not in (0, 70)
        assert said in done.stderr
