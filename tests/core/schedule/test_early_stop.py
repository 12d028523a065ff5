"""Early stopping by hand, and whole runs that end early."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch

from umbel.checkpoint.read import find_checkpoint
from umbel.contract.errors import ConfigError
from umbel.schedule.config import EarlyStopConfig
from umbel.schedule.early_stop import EarlyStop
from umbel.schedule.window import Window
from umbel.training.run import Run

NAN = float("nan")


def ends(stop: EarlyStop, *scores: tuple[float, float]) -> int | None:
    """The evaluation, counted from 1, that ends the run."""
    for count, (a, b) in enumerate(scores, 1):
        if stop.update({"a": a, "b": b}, count):
            return count
    return None


def make(on: str, patience: int = 2, delta: float = 0.0, primary: str | None = None, **windows: Window) -> EarlyStop:
    return EarlyStop(EarlyStopConfig(on, primary, patience, delta), {"a": Window(), "b": Window(), **windows})


A_STALLS = ((0.5, 0.1), (0.4, 0.2), (0.5, 0.3), (0.5, 0.3), (0.5, 0.3), (0.5, 0.9))


def test_what_ends_a_run() -> None:
    assert ends(make("any"), *A_STALLS) == 3
    assert ends(make("all"), *A_STALLS) == 5
    assert ends(make("primary", primary="a"), *A_STALLS) == 3
    assert ends(make("primary", primary="b"), *A_STALLS) == 5
    assert ends(make("none"), *A_STALLS) is None
    assert ends(make("any", patience=4), *A_STALLS) == 5
    assert "a did not improve in 2 evaluations" in _after(make("any")).reason


def _after(stop: EarlyStop) -> EarlyStop:
    ends(stop, *A_STALLS)
    return stop


def test_small_rises_and_undefined_scores_are_no_improvement() -> None:
    rising = tuple((0.1 * step, 0.1 * step) for step in range(8))
    assert ends(make("all"), *rising) is None
    assert ends(make("all", delta=0.15), *rising) is None  # every second one rises by 0.2 over the best
    assert ends(make("all", delta=0.25), *rising) == 3
    assert ends(make("any"), (NAN, 0.1), (NAN, 0.2), (NAN, 0.3)) == 2
    assert ends(make("any"), (NAN, 0.1), (0.1, 0.2), (0.2, 0.3)) is None


def test_task_counts_only_while_it_takes_part() -> None:
    flat = ((0.5, 0.5),) * 8
    assert ends(make("any", a=Window(start_step=4), b=Window(start_step=4)), *flat) == 7
    assert ends(make("all", b=Window(start_step=3)), *flat) == 6
    assert ends(make("any", a=Window(stop_step=2), b=Window(start_step=4)), *flat) == 7
    assert ends(make("all", a=Window(stop_step=2), b=Window(stop_step=2)), *flat) is None


def test_state_goes_through_json_and_back() -> None:
    whole, first = make("any"), make("any")
    ends(first, *A_STALLS[:2])
    second = make("any")
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert ends(second, A_STALLS[2]) == 1
    assert ends(whole, *A_STALLS) == 3
    assert second.state_dict() == whole.state_dict()


def test_primary_task_has_to_exist() -> None:
    with pytest.raises(ConfigError, match=r"train\.early_stop\.primary: there is no task 'c' \(tasks: a, b\)"):
        make("primary", primary="c")


STILL = ("train.eval_every=1", "optim.lr=0", "backbone.options.norm=false")
STOPPING = (*STILL, "train.early_stop.mode=any", "train.early_stop.patience=2")


def test_run_ends_early_with_everything_a_whole_run_leaves(launch: Callable[..., Run], metrics: Any) -> None:
    run = launch("a", *STOPPING)
    assert run.runtime.steps_done == 3  # without learning the first evaluation stays the best
    assert find_checkpoint(run.checkpoints).step == 3
    assert find_checkpoint(run.checkpoints, "best-first").step == 1
    assert json.loads((run.directory / "scores.json").read_text())
    again = launch("a", *STOPPING, resume=True)
    assert again.runtime.steps_done == 3
    assert [line["step"] for line in metrics(again) if "losses" in line] == [1, 2, 3]


def test_stopped_and_resumed_run_ends_at_the_same_step(launch: Callable[..., Run]) -> None:
    settings = (*STILL, "train.early_stop.mode=all", "train.early_stop.patience=3")
    whole = launch("whole", *settings)
    launch("broken", *settings, stop=3)
    resumed = launch("broken", *settings, resume=True)
    assert whole.runtime.steps_done == resumed.runtime.steps_done == 4
    for name, value in whole.runtime.model.state_dict().items():
        assert torch.equal(value, resumed.runtime.model.state_dict()[name])
