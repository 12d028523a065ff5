"""Whole runs under every strategy: repeatable and resumable to the bit, and absent heads stay as they are."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
import torch

from umbel.contract.errors import ConfigError
from umbel.training.run import Run

Launch = Callable[..., Run]
CADENCE = ("tasks.second.every=2", "tasks.second.start_step=3", "tasks.second.weight_warmup=4", "train.save_every=1")


def equal(left: Run, right: Run) -> bool:
    one, other = left.runtime.model.state_dict(), right.runtime.model.state_dict()
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def members(run: Run, metrics: Any) -> list[list[str]]:
    return [list(line["losses"]) for line in metrics(run) if "losses" in line]


@pytest.mark.parametrize(
    ("strategy", "workers"), [("composite", 2), ("round_robin", 0), ("proportional", 0), ("temperature", 0)]
)
def test_scheduled_run_resumes_to_the_bit(launch: Launch, metrics: Any, strategy: str, workers: int) -> None:
    settings = (*CADENCE, f"train.schedule.strategy={strategy}")
    whole = launch("whole", *settings)
    taking_part = members(whole, metrics)
    assert taking_part == [list(whole.schedule.plan.at(step)) for step in range(12)]
    assert len({tuple(names) for names in taking_part}) > 1
    overrides = (*settings, f"tasks.first.workers={workers}")
    launch("broken", *overrides, stop=6)
    resumed = launch("broken", *overrides, resume=True)
    assert equal(whole, resumed)
    assert metrics(whole) == metrics(resumed)


def test_default_plan_is_every_task_in_every_step(launch: Launch, metrics: Any) -> None:
    run = launch("a")
    assert members(run, metrics) == [["first", "second"]] * 12
    assert not equal(run, launch("b", "tasks.second.every=2"))


def test_head_waits_for_its_first_step(launch: Launch) -> None:
    late = ("tasks.second.start_step=8", "train.steps=9", "optim.weight_decay=0")
    started = launch("a", *late)
    before = launch("b", *late, stop=8)
    fresh = launch("c", "optim.lr=0", *late)
    head = "heads.second.linear.weight"
    assert torch.equal(before.runtime.model.state_dict()[head], fresh.runtime.model.state_dict()[head])
    assert not torch.equal(started.runtime.model.state_dict()[head], fresh.runtime.model.state_dict()[head])


def test_accumulated_batches_are_counted_by_the_plan(launch: Launch, metrics: Any) -> None:
    settings = ("train.accumulate=2", "tasks.second.every=2", "train.steps=6", "train.save_every=1")
    whole = launch("whole", *settings)
    assert members(whole, metrics) == [["first", "second"], ["first"]] * 3
    launch("broken", *settings, stop=4)
    assert equal(whole, launch("broken", *settings, resume=True))
    assert not equal(whole, launch("single", *settings, "train.accumulate=1"))


def test_passes_are_stated_at_start_and_end(launch: Launch, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        launch("a", "tasks.second.every=3")
    text = caplog.text
    # 12 steps of 4 of 12 images, and 4 steps of 3 of 7
    seen = "seen first 4.00 times, second 1.71 times; per epoch of second: first 2.33 times"
    assert f"plan of 12 steps: {seen}" in text
    assert f"in 12 steps: {seen}" in text


@pytest.mark.parametrize(
    ("override", "part"),
    [
        ("tasks.first.every=0", "every is 0"),
        ("tasks.first.start_step=-1", "start_step is -1"),
        ("tasks.first.stop_step=0", "stop_step is 0"),
        ("tasks.first.weight_warmup=-1", "weight_warmup is -1"),
        ("train.schedule.strategy=robin", "choose one of 'composite', 'round_robin', 'proportional', 'temperature'"),
        ("train.schedule.temperature=0.5", "temperature is 0.5"),
        ("train.early_stop.mode=both", "choose one of 'none', 'all', 'any', 'primary'"),
        ("train.early_stop.mode=primary", "names no task"),
        ("train.early_stop.primary=first", "set it to primary"),
        ("train.early_stop.mode=any", "set eval_every"),
        ("train.early_stop.patience=0", "patience is 0"),
    ],
)
def test_wrong_setting_is_named(launch: Launch, override: str, part: str) -> None:
    with pytest.raises(ConfigError) as caught:
        launch("a", override)
    assert part in str(caught.value)
    assert "train" in str(caught.value) or "tasks.first" in str(caught.value)
