"""metrics.jsonl: whole lines, no line twice, readable after a crash."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from umbel.training.observers.jsonl import JsonlObserver
from umbel.training.run import Run

Launch = Callable[..., Run]


def test_lines_hold_losses_rates_and_scores(launch: Launch) -> None:
    run = launch("a", "train.log_every=5", "train.eval_every=6")
    lines = [json.loads(line) for line in (run.directory / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "losses" in line] == [5, 10, 12]
    assert [line["step"] for line in lines if "scores" in line] == [6, 12]
    assert set(lines[0]["losses"]) == {"first", "second"}
    assert lines[0]["losses"]["first"].keys() == {"total", "square"}
    assert lines[0]["lr"] == 0.01
    assert set(lines[-1]["scores"]) == {"first/closeness", "second/closeness", "score"}


def test_line_cut_by_a_crash_does_not_stop_the_resumed_run(
    launch: Launch, metrics: Callable[[Run], list[dict[str, Any]]]
) -> None:
    unbroken = launch("unbroken")
    run = launch("broken", "train.save_every=3", stop=6)
    path = run.directory / "metrics.jsonl"
    path.write_bytes(path.read_bytes() + b'{"step": 6, "lr": 0.0\xff')
    resumed = launch("broken", "train.save_every=3", resume=True)
    assert metrics(resumed) == metrics(unbroken)


def test_new_run_in_an_old_folder_starts_a_new_file(launch: Launch) -> None:
    run = launch("a", "train.steps=3")
    observer = JsonlObserver()
    run.runtime.steps_done = 0
    observer.umbel_run_started(run=run)
    assert (run.directory / "metrics.jsonl").read_text() == ""


def test_undefined_score_is_null(launch: Launch) -> None:
    run = launch("a", "train.steps=3")
    observer = JsonlObserver()
    observer.umbel_run_started(run=run)
    observer.umbel_evaluated(run=run, step=3, scores={"score": float("nan")})
    last = (run.directory / "metrics.jsonl").read_text().splitlines()[-1]
    assert json.loads(last, parse_constant=lambda text: 1 / 0)["scores"] == {"score": None}
