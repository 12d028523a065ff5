"""Whole jobs of two processes: launchers, resume, faults of one rank. All on gloo, as on a machine without a GPU."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from zero_toys import TESTS, free_port, launch_ranks

from umbel.checkpoint.read import find_checkpoint, open_checkpoint

pytestmark = pytest.mark.slow

FAULTY = """
import os, pathlib, signal, time
from toys import BrightDataset, BrightTask, TinyBackbone
from umbel import DataError, hookimpl

def note_time():
    pathlib.Path("fault").write_text(str(time.time()))

MINE = os.environ.get("RANK") == "1"
FAULT = os.environ.get("TOY_FAULT", "")

class Corrupt(BrightDataset):
    def __getitem__(self, index):
        if MINE and index == 5 and not self.name.endswith("val"):
            note_time()
            raise DataError("cannot be decoded", where="images/0005.png")
        return super().__getitem__(index)

class Faulty(BrightTask):
    calls = 0
    def dataset(self, split):
        made = super().dataset(split)
        return Corrupt(made.name, made.options, made.size) if FAULT == "corrupt" else made
    def loss(self, output, targets):
        Faulty.calls += 1
        if MINE and Faulty.calls == 9:
            note_time()
        if MINE and Faulty.calls == 9 and FAULT == "raise":
            raise ValueError("nine is too much")
        if MINE and Faulty.calls == 9 and FAULT == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if MINE and Faulty.calls == 9 and FAULT == "freeze":
            os.kill(os.getpid(), signal.SIGSTOP)
        return super().loss(output, targets)

@hookimpl
def umbel_tasks():
    return {"bright": Faulty}

@hookimpl
def umbel_backbones():
    return {"tiny": TinyBackbone}
"""
SETTINGS = ("train.steps=20", "train.save_every=5", "train.ema_decay=0.8", "tasks.second.batch_size=4")


@pytest.fixture
def folder(distribute: Callable[..., Path], recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the toy recipe, whose tasks are installed for processes started in it."""
    site = distribute("toy-tasks", {"toy_faulty": FAULTY})
    monkeypatch.setenv("PYTHONPATH", f"{site}{os.pathsep}{TESTS}")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=900)


def umbel(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run("-m", "umbel", *arguments)


def deepspeed(*arguments: str) -> subprocess.CompletedProcess[str]:
    """What `deepspeed --num_gpus 2 --module umbel ...` runs."""
    port = f"--master_port={free_port()}"
    return run("-m", "deepspeed.launcher.runner", "--num_gpus", "2", port, "--module", "umbel", *arguments)


def torchrun(*arguments: str) -> subprocess.CompletedProcess[str]:
    port = f"--master-port={free_port()}"
    return run("-m", "torch.distributed.run", "--nproc-per-node", "2", port, "-m", "umbel", *arguments)


def steps_logged(out: Path) -> list[int]:
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [line["step"] for line in lines if "losses" in line]


def same(left: Path, right: Path) -> bool:
    names = ("model.safetensors", "optimizer.safetensors", "average.safetensors")
    return all((left / name).read_bytes() == (right / name).read_bytes() for name in names)


def test_deepspeed_and_torchrun_train_checkpoint_and_resume(folder: Path) -> None:
    whole = deepspeed("train", "toy.yaml", "--out", "whole", *SETTINGS)
    assert whole.returncode == 0, whole.stderr[-3000:]
    assert whole.stdout.count("closeness") == 2, whole.stdout  # the scores, once
    assert "ZeRO stage 1 over 2 processes, gradients clipped to norm 1" in whole.stderr
    assert whole.stderr.count("plan of 20 steps") == 1, whole.stderr  # what is the same on all ranks is said once
    assert "shm_comm" not in whole.stdout + whole.stderr
    assert steps_logged(folder / "whole") == list(range(1, 21))
    last = folder / "whole" / "checkpoints" / "step-00000020"
    assert open_checkpoint(last).state["world_size"] == 2

    half = torchrun("train", "toy.yaml", "--out", "half", *SETTINGS, "deepspeed.zero_optimization.stage=1")
    assert half.returncode == 0, half.stderr[-3000:]
    assert same(last, folder / "half" / "checkpoints" / "step-00000020")  # the launcher changes nothing
    for path in (folder / "half" / "checkpoints" / "step-00000020").iterdir():
        path.unlink()
    (folder / "half" / "checkpoints" / "step-00000020").rmdir()
    resumed = torchrun("train", "toy.yaml", "--out", "half", "--resume", *SETTINGS)
    assert resumed.returncode == 0, resumed.stderr[-3000:]
    assert same(last, folder / "half" / "checkpoints" / "step-00000020")

    alone = umbel("train", "toy.yaml", "--out", "whole", "--resume", *SETTINGS, "train.save_every=3")
    assert alone.returncode == 3
    assert "a step had 8 images of 'first', with 1 process it has 4" in alone.stderr
    assert "add train.accumulate=2, or go on with 2 processes" in alone.stderr
    fitting = umbel("train", "toy.yaml", "--out", "whole", "--resume", *SETTINGS, "train.accumulate=2")
    assert fitting.returncode == 0, fitting.stderr[-3000:]

    judged = umbel("evaluate", "half")
    assert judged.returncode == 0, judged.stderr
    assert judged.stdout.split("score")[-1].split()[0] == whole.stdout.split("score")[-1].split()[0]


def test_one_process_with_a_block_needs_no_launcher(folder: Path) -> None:
    settings = (*SETTINGS, "backbone.options.norm=false")  # Adam makes whole steps of a bias whose gradient is rounding
    plain = umbel("train", "toy.yaml", "--out", "plain", *settings)
    block = umbel("train", "toy.yaml", "--out", "block", *settings, "deepspeed.zero_optimization.stage=3")
    assert plain.returncode == block.returncode == 0, block.stderr[-3000:]
    assert "ZeRO stage 3 over 1 process" in block.stderr
    assert "ZeRO" not in plain.stderr
    rows = [json.loads((folder / out / "scores.json").read_text()) for out in ("plain", "block")]
    assert rows[0] == pytest.approx(rows[1], abs=1e-4)


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ("raise", r"umbel: rank 1: error: .*Faulty\.loss\(\).*ValueError: nine is too much"),
        ("corrupt", "umbel: rank 1: error: images/0005.png: cannot be decoded"),
        (
            "kill",
            r"umbel: rank 0: error: rank 1 of 2 \(.*\) ended: its process is gone without a word.* step 3 is good",
        ),
        ("freeze", "umbel: rank 0: error: (rank 1 of 2 .* ended: no sign of it|ended because another rank)"),
    ],
)
def test_fault_of_one_rank_ends_the_job_with_its_cause_on_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, fault: str, cause: str
) -> None:
    monkeypatch.setenv("TOY_FAULT", fault)
    limit = 10
    arguments = (
        "train",
        "toy.yaml",
        "--out",
        "out",
        *SETTINGS,
        "train.save_every=1",
        f"train.collective_timeout={limit}",
    )
    if fault == "freeze":  # the frozen one never ends by itself
        results = freeze(arguments)
    else:
        results = launch_ranks(2, "-m", "umbel", *arguments)
    assert time.time() - float((folder / "fault").read_text()) < limit + 30
    errors = [line for result in results for line in result.stderr.splitlines() if "error:" in line]
    assert any(re.match(cause, line) for line in errors), errors
    assert not any("Traceback" in result.stderr for result in results)
    assert results[0].returncode not in (0, None)
    if fault != "freeze":
        assert results[1].returncode not in (0, None)
    if fault != "corrupt":
        assert find_checkpoint(folder / "out" / "checkpoints").step == 3  # the ninth loss, two tasks tried once


def freeze(arguments: tuple[str, ...]) -> list[subprocess.CompletedProcess[str]]:
    from zero_toys import rank_environment

    port = free_port()
    command = [sys.executable, "-m", "umbel", *arguments]
    frozen = subprocess.Popen(command, env=rank_environment(1, 2, port), stderr=subprocess.DEVNULL)
    try:
        first = subprocess.run(command, env=rank_environment(0, 2, port), capture_output=True, text=True, timeout=600)
    finally:
        frozen.kill()
        frozen.wait()
    return [first]
