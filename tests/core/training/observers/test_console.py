"""Progress for people: on stderr, one line a logged step, any folder name."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from umbel.contract.types import Losses
from umbel.training.observers.console import ConsoleObserver
from umbel.training.observers.text import duration_text, losses_text, scores_text
from umbel.training.run import Run

LOSSES = {"first": Losses(torch.tensor(0.25)), "second": Losses(torch.tensor(2.0))}


def test_plain_lines_go_to_stderr(launch: Callable[..., Run], capsys: pytest.CaptureFixture[str]) -> None:
    run = launch("folder [/bold] [red]", "train.steps=3", "train.log_every=2")
    run.runtime.steps_done = 0
    observer = ConsoleObserver()
    observer.umbel_run_started(run=run)
    for step in (1, 2, 3):
        observer.umbel_step_finished(run=run, step=step, losses=LOSSES, lr=0.001)
    observer.umbel_evaluated(run=run, step=3, scores={"first/closeness": 0.5, "score": 0.25})
    observer.umbel_run_finished(run=run, error=None)
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert "folder [/bold] [red]: 3 steps, first (12), second (7)" in lines[0]
    assert [line.split("  ")[0] for line in lines[1:3]] == ["step 2/3", "step 3/3"]
    assert "first 0.2500  second 2.0000  lr 1.00e-03" in lines[1]
    assert lines[3] == "evaluated at step 3: score 0.2500  first/closeness 0.5000"


def test_texts() -> None:
    assert losses_text(LOSSES) == "first 0.2500  second 2.0000"
    assert scores_text({"a/b": 0.1, "score": 1.0}) == "score 1.0000  a/b 0.1000"
    assert [duration_text(s) for s in (0, 59.9, 61, 3599, 3600, 90061)] == [
        "0:00", "0:59", "1:01", "59:59", "1:00:00", "25:01:01"
    ]  # fmt: skip
