"""The live view: a line for every task, whatever its name, and JSON lines for programs."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable

import pytest
import torch
from rich.console import Console

from umbel.contract.types import Losses
from umbel.training.observers.console import ConsoleObserver
from umbel.training.observers.json_lines import JsonLinesObserver
from umbel.training.observers.pace import PaceMeter
from umbel.training.run import Run

LOSSES = {"first": Losses(torch.tensor(0.25)), "second": Losses(torch.tensor(2.0))}


def test_a_terminal_shows_every_task_with_its_scores(launch: Callable[..., Run]) -> None:
    run = launch("out", "train.steps=3", "train.log_every=1")
    run.runtime.steps_done = 0
    shown = io.StringIO()
    observer = ConsoleObserver(Console(file=shown, force_terminal=True, width=120, highlight=False, markup=False))
    observer.umbel_run_started(run=run)
    observer.umbel_step_finished(run=run, step=1, losses=LOSSES, lr=0.001)
    observer.umbel_evaluated(run=run, step=1, scores={"first/closeness": 0.5, "score": 0.25})
    observer.umbel_step_finished(run=run, step=2, losses={"first": Losses(torch.tensor(0.125))}, lr=0.001)
    observer.umbel_run_finished(run=run, error=None)
    last = shown.getvalue()[-2500:]
    said = ("step 2/3", "epoch", "left", "GiB", "0.1250", "2.0000", "closeness 0.5000", "score 0.2500", "images/s")
    assert not [words for words in said if words not in last]


def test_pace_counts_the_images_of_the_tasks_that_took_part() -> None:
    meter = PaceMeter({"a": 4, "b": 6}, first_step=10, total=20, started=100.0)
    for tasks in (["a", "b"], ["a"], ["a", "b"], ["a"]):
        meter.count(tasks)
    pace = meter.at(14, now=108.0)
    assert pace.rates == {"a": 2.0, "b": 1.5}
    assert pace.left == pytest.approx(6 * 2.0)


def test_json_lines_are_json_even_where_numbers_are_not(launch: Callable[..., Run]) -> None:
    run = launch("out", "train.steps=2", "train.log_every=1")
    run.runtime.steps_done = 0
    stream = io.StringIO()
    observer = JsonLinesObserver(stream)
    observer.umbel_run_started(run=run)
    observer.umbel_step_finished(run=run, step=1, losses={"first": Losses(torch.tensor(math.nan))}, lr=0.1)
    observer.umbel_evaluated(run=run, step=1, scores={"first/closeness": math.nan, "score": 0.5})
    observer.umbel_run_finished(run=run, error=RuntimeError("disk\nfull"))
    lines = stream.getvalue().splitlines()
    events = [json.loads(line, parse_constant=pytest.fail) for line in lines]
    assert [event["event"] for event in events] == ["started", "step", "evaluated", "finished"]
    assert events[1]["losses"] == {"first": None}
    assert events[2]["scores"] == {"first/closeness": None, "score": 0.5}
    assert events[3]["error"] == "RuntimeError: disk\nfull"
