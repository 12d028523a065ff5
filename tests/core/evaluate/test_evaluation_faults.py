"""The last evaluation of two ranks: what a fault of one of them costs, and what a reporter must not cost."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from zero_toys import TESTS, launch_ranks

from umbel.checkpoint.read import find_checkpoint

pytestmark = pytest.mark.slow

FAULTY = """
import os, pathlib, signal, time
from toys import BrightDataset, BrightTask, ShareError, TinyBackbone
from umbel import DataError, Reporter, hookimpl

FAULT = os.environ.get("TOY_FAULT", "") if os.environ.get("RANK") == "1" else ""

class Watched(BrightDataset):
    def __getitem__(self, index):
        if FAULT and self.name == "second-val" and index:  # the first is tried before step 1
            pathlib.Path("fault").write_text(str(time.time()))
            if FAULT == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            raise DataError("cannot be decoded", where="images/0005.png")
        return super().__getitem__(index)

class Ranking(Reporter):
    def __init__(self, path):
        self.metric, self.path = ShareError(), path
    def add(self, sample, prediction):
        self.metric.reset()
        self.metric.update([prediction], [sample.target])
        with self.path.open("a") as file:
            file.write(f"{sample.id} {float(self.metric.compute()['closeness'])}\\n")
    def figures(self):
        self.metric.compute()
        return []

class Faulty(BrightTask):
    def dataset(self, split):
        made = super().dataset(split)
        return Watched(made.name, made.options, made.size)
    def loss(self, output, targets):
        pathlib.Path("trained").write_text("")
        losses = super().loss(output, targets)
        if os.environ.get("RANK") == "1":  # only here: it would wait for the others
            metric = ShareError()
            metric.update([0.0], [0.0])
            metric.compute()
        return losses
    def reporter(self):
        return Ranking(pathlib.Path(f"{self.name}-{os.environ.get('RANK', 0)}.txt"))

@hookimpl
def umbel_tasks():
    return {"bright": Faulty}

@hookimpl
def umbel_backbones():
    return {"tiny": TinyBackbone}
"""
LIMIT = 60
SETTINGS = ("train.steps=4", "train.ema_decay=0.8", f"train.timeout={LIMIT}", "tasks.first.options.count=9")
LAST = "step-00000004"


@pytest.fixture
def folder(distribute: Callable[..., Path], recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    site = distribute("toy-tasks", {"toy_faulty": FAULTY})
    monkeypatch.setenv("PYTHONPATH", f"{site}{os.pathsep}{TESTS}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("fault", "stage"), [("raise", 1), ("raise", 3), ("kill", 2)])
def test_fault_in_the_last_evaluation_costs_the_evaluation(
    folder: Path, monkeypatch: pytest.MonkeyPatch, fault: str, stage: int
) -> None:
    arguments = ("-m", "umbel", "train", "toy.yaml", "--out", "out", *SETTINGS)
    arguments += (f"deepspeed.zero_optimization.stage={stage}",)
    monkeypatch.setenv("TOY_FAULT", fault)
    results = launch_ranks(2, *arguments)
    assert time.time() - float((folder / "fault").read_text()) < LIMIT / 2
    assert all(result.returncode != 0 for result in results)
    causes = [line for result in results for line in result.stderr.splitlines() if "error:" in line]
    told = "rank 1: error: images/0005.png: cannot be decoded" if fault == "raise" else "rank 0: error: rank 1 of 2"
    assert any(line.startswith(f"umbel: {told}") for line in causes), causes
    saved = find_checkpoint(folder / "out" / "checkpoints")
    assert (saved.step, saved.state["evaluated"], saved.state["best"]) == (4, False, {})
    weights = {path.name: path.read_bytes() for path in saved.path.glob("*.safetensors")}

    monkeypatch.delenv("TOY_FAULT")
    (folder / "trained").unlink()
    resumed = launch_ranks(2, *arguments, "--resume")
    assert [result.returncode for result in resumed] == [0, 0], resumed[0].stderr[-3000:]
    assert not (folder / "trained").exists()
    finished = find_checkpoint(folder / "out" / "checkpoints")
    scores = json.loads((folder / "out" / "scores.json").read_text())
    assert (finished.step, finished.state["evaluated"]) == (4, True)
    assert finished.state["best"]["score"] == [scores["score"], 4]
    assert (folder / "out" / "checkpoints" / "best").read_text() == LAST
    assert {path.name: path.read_bytes() for path in finished.path.glob("*.safetensors")} == weights


def test_metrics_of_a_plugin_talk_to_nobody_whatever_their_rank_has(folder: Path) -> None:
    """Its reporter computes image by image, its loss on one rank only."""
    results = launch_ranks(2, "-m", "umbel", "train", "toy.yaml", "--out", "out", *SETTINGS)
    assert [result.returncode for result in results] == [0, 0], results[0].stderr[-3000:]
    for task, images in (("first", 9), ("second", 7)):
        shares = [
            dict(line.split() for line in (folder / f"{task}-{rank}.txt").read_text().splitlines()) for rank in (0, 1)
        ]
        del shares[1]["bright-0"]  # every rank has tried the first image before step 1
        assert len(shares[0]) > len(shares[1]) > 0
        values = [float(value) for share in shares for value in share.values()]
        assert len(values) == images
        closeness = json.loads((folder / "out" / "scores.json").read_text())[f"{task}/closeness"]
        assert sum(values) / images == pytest.approx(closeness)
