"""What is not finite never reaches the weights, and is named."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from toys import BrightTask, ToyPlugin

from umbel import hookimpl
from umbel.checkpoint.read import find_checkpoint
from umbel.config.load import load_recipe
from umbel.contract.errors import PluginError, TrainingError
from umbel.contract.types import Batch, Losses
from umbel.data.loader import CompositeLoader
from umbel.registry.plugins import Plugin, Plugins
from umbel.training.engine import Engine
from umbel.training.guard import Guard
from umbel.training.observers.jsonl import JsonlObserver
from umbel.training.prepare import prepare
from umbel.training.run import Run
from umbel.training.runtime_state import runtime_state_dict
from umbel.training.session import train

WEIGHTS = {"first": 1.0, "second": 1.0}


class BadGradient(torch.autograd.Function):
    """The identity, whose gradient is what it is told."""

    @staticmethod
    def forward(context: Any, value: Tensor, factor: float) -> Tensor:
        context.factor = factor
        return value.clone()

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient * context.factor, None


class Poisoned(BrightTask):
    """A target above 100 poisons loss, gradient or activations, as `place` says."""

    place = "loss"
    factor = float("nan")

    def loss(self, output: Tensor, targets: Tensor) -> Losses:
        bad = bool((targets > 100).any())
        targets = torch.where(targets > 100, 0.5, targets)
        if bad and self.place == "gradient":
            output = BadGradient.apply(output, self.factor)
        error = (output.float() - targets).square().mean()
        if bad and self.place == "loss":
            error = error * self.factor
        return Losses(error, {"square": error.detach()})


class PoisonPlugin(ToyPlugin):
    @hookimpl
    def umbel_tasks(self) -> dict[str, type]:
        return {"bright": Poisoned}


@pytest.fixture
def prepared(recipe_file: Path, tmp_path: Path) -> Callable[..., Run]:
    def make(*overrides: str) -> Run:
        plugins = Plugins()
        plugins.register(PoisonPlugin(), Plugin("poison", "1", "poison"))
        loaded = load_recipe(str(recipe_file), overrides, plugins)
        return prepare(loaded, tmp_path / "run")

    return make


def batches(run: Run, count: int = 1) -> list[dict[str, Batch]]:
    return list(CompositeLoader(run.tasks, run.data.train, seed=0, start=0, stop=count))


def poisoned(batch: dict[str, Batch], task: str) -> dict[str, Batch]:
    bad = batch[task].targets.clone()
    bad[-1] = 1000.0
    return {**batch, task: replace(batch[task], targets=bad)}


def everything(run: Run) -> dict[str, Tensor]:
    tensors, _ = runtime_state_dict(run.runtime)
    return {f"{stem}/{name}": value.clone() for stem, named in tensors.items() for name, value in named.items()}


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("factor", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("place", ["loss", "gradient"])
@pytest.mark.parametrize("task", ["first", "second"])
@pytest.mark.parametrize("policy", ["stop", "skip"])
def test_bad_step_is_named_and_changes_nothing(
    prepared: Callable[..., Run],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    policy: str,
    task: str,
    place: str,
    factor: float,
) -> None:
    monkeypatch.setattr(Poisoned, "place", place)
    monkeypatch.setattr(Poisoned, "factor", factor)
    run = prepared("train.ema_decay=0.9", "optim.warmup_steps=0")
    run.runtime.model.train()
    guard = Guard(policy)
    good, bad, after = batches(run, 3)
    Engine(run.runtime, run.tasks, guard).train_step(good, WEIGHTS)
    before, steps = everything(run), run.runtime.average.steps
    bad = poisoned(bad, task)
    what = f"the {place} of task '{task}' is"
    if policy == "stop":
        with pytest.raises(TrainingError) as caught:
            Engine(run.runtime, run.tasks, guard).train_step(bad, WEIGHTS)
        text = str(caught.value)
        weights = {name: value for name, value in everything(run).items() if "norm.running" not in name}
        assert all(torch.equal(value, before[name]) for name, value in weights.items() if "num_batches" not in name)
    else:
        with caplog.at_level(logging.WARNING):
            Engine(run.runtime, run.tasks, guard).train_step(bad, WEIGHTS)
        text = caplog.text
        assert equal(everything(run), before)  # batch statistics among it
        assert (guard.skipped, guard.in_a_row) == (1, 1)
        assert run.runtime.steps_done == 2
    assert what in text
    assert all(sample in text for sample in bad[task].ids)
    other = "second" if task == "first" else "first"
    assert f"task '{other}'" not in text
    assert run.runtime.average.steps == steps
    assert all(parameter.grad is None for parameter in run.runtime.model.parameters())
    Engine(run.runtime, run.tasks, guard).train_step(after, WEIGHTS)
    assert not equal(everything(run), before)
    assert guard.in_a_row == 0


def test_overflow_of_the_sum_alone_is_told_from_a_tasks(prepared: Callable[..., Run]) -> None:
    run = prepared("backbone.options.norm=false")
    (batch,) = batches(run)
    huge = {"first": 1e30, "second": 1e30}  # each norm squared overflows float32 only in the total
    with pytest.raises(TrainingError, match=r"the gradient of task 'first' is not finite|the sum of the tasks'"):
        Engine(run.runtime, run.tasks).train_step(batch, huge)


def test_good_step_costs_one_agreement_and_a_bad_one_is_agreed_by_all(
    prepared: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = prepared()
    calls: list[list[int]] = []

    def record(values: list[int]) -> list[list[int]]:
        calls.append(values)
        return [values]

    def another_is_bad(values: list[int]) -> list[list[int]]:
        return [values, [*values[:4], 0, 1, 1]] if len(values) == 7 else [values]

    monkeypatch.setattr(run.runtime, "all_gather", record)
    (batch,) = batches(run)
    Engine(run.runtime, run.tasks).train_step(batch, WEIGHTS)
    plan, signal, flags = 3, 1, 3
    assert [len(values) for values in calls] == [plan + signal, plan + signal + flags]
    monkeypatch.setattr(run.runtime, "all_gather", another_is_bad)
    before = everything(run)
    with pytest.raises(TrainingError, match="the loss of task 'second' is not finite on another rank"):
        Engine(run.runtime, run.tasks).train_step(batch, WEIGHTS)
    guard = Guard("skip")
    Engine(run.runtime, run.tasks, guard).train_step(batch, WEIGHTS)
    assert guard.skipped == 1
    for name, value in everything(run).items():
        if "norm" not in name:
            assert torch.equal(value, before[name])


def test_limit_in_a_row_stops_and_good_steps_reset_it(prepared: Callable[..., Run]) -> None:
    run = prepared()
    guard = Guard("skip", limit=3)
    steps = batches(run, 6)
    for index, bad in enumerate((True, True, False, True, True)):
        batch = poisoned(steps[index], "first") if bad else steps[index]
        Engine(run.runtime, run.tasks, guard).train_step(batch, WEIGHTS)
    assert (guard.skipped, guard.in_a_row) == (4, 2)
    with pytest.raises(TrainingError, match="3 steps in a row were skipped; the loss of task 'first' is nan"):
        Engine(run.runtime, run.tasks, guard).train_step(poisoned(steps[5], "first"), WEIGHTS)


class SometimesPoisoned(Poisoned):
    def augment(self, sample: Any, rng: Any) -> Any:
        sample = super().augment(sample, rng)
        return replace(sample, target=1000.0) if sample.id == "bright-3" and self.name == "second" else sample


def test_run_that_skips_is_resumed_to_the_bit_and_logs_valid_json(
    recipe_file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Sometimes(ToyPlugin):
        @hookimpl
        def umbel_tasks(self) -> dict[str, type]:
            return {"bright": SometimesPoisoned}

    class Stop:
        @hookimpl
        def umbel_step_finished(self, step: int) -> None:
            if step == 6:
                raise RuntimeError("stopped")

    def start(out: str, *, stop: bool = False, resume: bool = False) -> Run:
        plugins = Plugins()
        plugins.register(Sometimes(), Plugin("sometimes", "1", "sometimes"))
        plugins.register(JsonlObserver(), Plugin("umbel", "0", "jsonl"))
        if stop:
            plugins.register(Stop(), Plugin("stop", "0", "stop"))
        overrides = ("train.non_finite=skip", "train.ema_decay=0.8", "train.save_every=1")
        loaded = load_recipe(str(recipe_file), overrides, plugins)
        run = prepare(loaded, tmp_path / out)
        train(run, resume=resume)
        return run

    whole = start("whole")
    assert whole.parts.guard.skipped >= 3
    assert caplog.text.count("skipped a step") == whole.parts.guard.skipped
    with pytest.raises(PluginError, match="stopped"):
        start("broken", stop=True)
    resumed = start("broken", resume=True)
    assert equal(everything(resumed), everything(whole))
    assert resumed.parts.guard.state_dict() == whole.parts.guard.state_dict()
    assert find_checkpoint(resumed.checkpoints).state["guard"] == whole.parts.guard.state_dict()

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    for run in (whole, resumed):
        for line in (run.directory / "metrics.jsonl").read_text().splitlines():
            json.loads(line, parse_constant=refuse)
