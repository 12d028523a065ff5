"""Runs of the three built-in tasks on a pretended GPU: nothing mixes devices, and the host waits as often as said."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import Tensor
from trio_data import write_trio

from umbel.config.load import load_recipe
from umbel.contract.errors import TrainingError
from umbel.contract.types import Batch, Losses
from umbel.data.loader import CompositeLoader
from umbel.evaluate.evaluate import evaluate
from umbel.predict.predictor import Predictor
from umbel.registry.plugins import Plugin, Plugins
from umbel.testing.gpu import PretendedGpu, pretended_gpu
from umbel.testing.gpu.device import waits_text
from umbel.training.engine import Engine
from umbel.training.guard import Guard
from umbel.training.notify import Observers
from umbel.training.observers.console import ConsoleObserver
from umbel.training.observers.json_lines import JsonLinesObserver
from umbel.training.observers.jsonl import JsonlObserver
from umbel.training.observers.tensorboard import TensorBoardObserver
from umbel.training.prepare import prepare
from umbel.training.run import Run
from umbel.training.runtime_state import runtime_state_dict
from umbel.training.session import train

BALANCERS = ("fixed", "gradient_norm", "loss_scale", "uncertainty")


@pytest.fixture
def gpu() -> Iterator[PretendedGpu]:
    with pretended_gpu() as device:
        yield device


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    return write_trio(tmp_path)


def prepared(recipe: Path, out: str, *overrides: str) -> Run:
    plugins = Plugins.discover()
    streams = io.StringIO(), io.StringIO()
    observers = (
        ConsoleObserver(Console(file=streams[0])),
        JsonLinesObserver(streams[1]),
        JsonlObserver(),
        TensorBoardObserver(),
    )
    for observer in observers:
        plugins.register(observer, Plugin("umbel", "0", type(observer).__name__))
    return prepare(load_recipe(str(recipe), overrides, plugins), recipe.parent / out)


class Steps:
    """Single steps of a run."""

    def __init__(self, run: Run, policy: str = "stop") -> None:
        self.run = run
        self.engine = Engine(run.runtime, run.tasks, Guard(policy))
        self.batches: dict[str, Batch] = next(iter(CompositeLoader(run.tasks, run.data.train, seed=0, start=0, stop=1)))
        run.runtime.model.train()

    def __call__(self, **without_data: None) -> dict[str, Losses]:
        return self.engine.train_step({**self.batches, **without_data}, dict.fromkeys(self.batches, 1.0))


def not_there(gpu: PretendedGpu, run: Run) -> list[str]:
    """What of a run's state is on the CPU and should not be; the counts of steps are there to be read by the host."""
    tensors, _ = runtime_state_dict(run.runtime)
    named = {f"{stem}/{name}": value for stem, part in tensors.items() for name, value in part.items()}
    return [name for name, value in named.items() if not gpu.holds(value) and not name.endswith("/step")]


@pytest.mark.parametrize("balancer", BALANCERS)
def test_a_step_waits_once_with_each_balancer(gpu: PretendedGpu, recipe: Path, balancer: str) -> None:
    run = prepared(recipe, "run", f"train.balancer.name={balancer}", "train.ema_decay=0.9")
    assert (run.runtime.device.type, run.runtime.precision) == ("cuda", "bf16")
    step = Steps(run)
    step()
    with gpu.recorded() as waits:
        losses = step()
    assert [wait.where.split(":")[0] for wait in waits] == ["guard.py"], waits_text(waits)
    assert all(value.total.is_cuda for value in losses.values())
    assert not_there(gpu, run) == []


def test_class_weights_and_a_rank_without_data(gpu: PretendedGpu, recipe: Path) -> None:
    run = prepared(recipe, "run", "tasks.road.options.class_weights=[1,1,2]", "train.channels_last=false")
    step = Steps(run)
    with patch.object(run.runtime, "all_gather", lambda row: [row, [row[0], 1, 1, 1, *row[4:]]]):  # another has all
        step(road=None, signs=None)
        step()
        with gpu.recorded() as waits:
            step(vehicles=None)
    assert [wait.where.split(":")[0] for wait in waits] == ["guard.py"], waits_text(waits)
    assert not_there(gpu, run) == []


@pytest.mark.parametrize("policy", ["stop", "skip"])
def test_the_guard_turns_a_step_away(gpu: PretendedGpu, recipe: Path, policy: str) -> None:
    run = prepared(recipe, "run", "train.ema_decay=0.9")
    step = Steps(run, policy)
    step()
    before = {name: value.clone() for name, value in run.model.state_dict().items()}
    task = run.tasks["vehicles"]
    poisoned: Callable[..., Losses] = lambda *given: Losses(type(task).loss(task, *given).total * torch.nan)  # noqa: E731
    with patch.object(task, "loss", poisoned):
        if policy == "stop":
            with pytest.raises(TrainingError, match="the loss of task 'vehicles' is nan"):
                step()
        else:
            step()
    for name, value in run.model.state_dict().items():
        assert policy == "stop" or torch.equal(value, before[name]), name
    assert not_there(gpu, run) == []


def test_a_logged_step_waits_once_more(gpu: PretendedGpu, recipe: Path) -> None:
    run = prepared(recipe, "run", "train.log_every=2")
    run.observers.run_started(run)
    losses = Steps(run)()
    counts = []
    for number in (1, 2, 3, 4):
        with gpu.recorded() as waits:
            run.observers.step_finished(run, number, losses, 0.1)
        counts.append(len(waits))
    run.observers.run_finished(run, None)
    assert counts == [0, 1, 0, 1]
    line = json.loads((run.directory / "metrics.jsonl").read_text().splitlines()[0])
    assert line["losses"]["signs"]["total"] == float(losses["signs"].total)


def test_evaluation_and_prediction(gpu: PretendedGpu, recipe: Path) -> None:
    run = prepared(recipe, "run", "train.ema_decay=0.9")
    scores = evaluate(run.runtime, run.tasks, run.data.val, "mean")
    assert {"road/miou", "vehicles/top1", "signs/map50"} <= scores.keys()
    plain = {name: replace(task.config, workers=0) for name, task in run.tasks.items()}
    ahead = {name: replace(config, workers=1) for name, config in plain.items()}
    for configs in (plain, ahead):  # by a thread of its own, copied by a stream of its own: the same
        for name, task in run.tasks.items():
            task.config = configs[name]
        assert evaluate(run.runtime, run.tasks, run.data.val, "mean") == scores
    images = [np.full((80, 96, 3), value, np.uint8) for value in (20, 200)]
    results = Predictor(run.runtime, run.tasks).predict(images, ["dark", "bright"])
    for result in results:
        assert result.plot().shape == (80, 96, 3)
        assert json.dumps(result.to_json())


def trained(recipe: Path, out: str, *overrides: str, resume: bool = False, steps: int = 4) -> tuple[Run, Any]:
    run = prepared(recipe, out, f"train.steps={steps}", "train.ema_decay=0.9", "train.precision=fp32", *overrides)
    return run, train(run, resume=resume)


def weights(run: Run) -> list[Tensor]:
    return [value.cpu() for value in run.model.state_dict().values()]


def totals(run: Run) -> list[float]:
    lines = [json.loads(line) for line in (run.directory / "metrics.jsonl").read_text().splitlines()]
    return [of_task["total"] for line in lines for of_task in line.get("losses", {}).values()]


def test_a_run_is_saved_and_resumed(recipe: Path) -> None:
    """It learns what it learns on the host, where the optimizer rounds otherwise; resumed it is the same to the bit."""
    host, expected = trained(recipe, "host", "train.device=cpu")
    with pretended_gpu() as gpu:
        whole, scores = trained(recipe, "whole")
        with patch.object(Observers, "step_finished", _stop_at(3)), pytest.raises(StoppedError):
            trained(recipe, "resumed", "train.save_every=2")
        resumed, again = trained(recipe, "resumed", "train.save_every=2", resume=True)
        assert resumed.steps_done == 4
        assert not_there(gpu, resumed) == []
        pairs = zip(weights(whole), weights(resumed), strict=True)
        assert all(torch.equal(one, other) for one, other in pairs)
    assert scores == again == pytest.approx(expected, abs=1e-3)
    assert totals(whole) == pytest.approx(totals(host), rel=1e-3)


class StoppedError(Exception):
    """What a run ends with."""


def _stop_at(last: int) -> Callable[..., None]:
    def step_finished(self: Observers, run: Run, step: int, losses: object, lr: float) -> None:
        if step == last:
            raise StoppedError

    return step_finished
