"""Whole runs of the toys: repeatable to the bit, resumable to the bit, and careful with what they leave behind."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torchmetrics import Metric
from toys import TOY_RECIPE, BrightTask, ShareError, ToyPlugin

from umbel import hookimpl
from umbel.checkpoint.read import find_checkpoint
from umbel.config.load import load_recipe
from umbel.contract.errors import CheckpointError, ConfigError, PluginError, TrainingError
from umbel.contract.types import Losses
from umbel.data import worker_counts
from umbel.registry.plugins import Plugin, Plugins
from umbel.training.prepare import prepare
from umbel.training.run import Run
from umbel.training.runtime_state import runtime_state_dict
from umbel.training.session import train

Launch = Callable[..., Run]
Metrics = Callable[[Run], list[dict[str, Any]]]


def state(run: Run) -> dict[str, Tensor]:
    """Weights, optimizer state, average and counters of a finished run."""
    tensors, counters = runtime_state_dict(run.runtime)
    flat = {f"{stem}/{name}": value.clone() for stem, named in tensors.items() for name, value in named.items()}
    return {**flat, **{name: torch.tensor(value) for name, value in counters.items() if isinstance(value, int)}}


def equal(left: Run, right: Run) -> bool:
    one, other = state(left), state(right)
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_same_seed_twice_is_bit_equal(launch: Launch, metrics: Metrics) -> None:
    first, second, other = launch("a"), launch("b"), launch("c", "train.seed=1")
    assert equal(first, second)
    assert metrics(first) == metrics(second)
    assert not equal(first, other)
    assert len([line for line in metrics(first) if "losses" in line]) == 12


def test_workers_logging_and_looking_change_nothing(launch: Launch, metrics: Metrics) -> None:
    plain = launch("a")
    other = launch("b", "tasks.first.workers=2", "tasks.second.workers=1", "train.eval_every=5", "train.save_every=3")
    assert equal(plain, other)
    losses = [[line for line in metrics(run) if "losses" in line] for run in (plain, other)]
    assert losses[0] == losses[1]


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_workers_auto_gives_the_bits_of_none(
    launch: Launch, metrics: Metrics, monkeypatch: pytest.MonkeyPatch, device: str
) -> None:
    plain = launch("a", "tasks.first.workers=0", "tasks.second.workers=0", "train.eval_every=5")
    monkeypatch.setattr(worker_counts, "available_cpus", lambda: 4)
    plain_rule = worker_counts.auto_workers
    monkeypatch.setattr(worker_counts, "auto_workers", lambda _, cpus, tasks: plain_rule(device, cpus, tasks))
    auto = launch("b", "tasks.first.workers=auto", "train.eval_every=5")
    assert equal(plain, auto)
    assert metrics(plain) == metrics(auto)


SETTINGS = ("train.save_every=1", "train.eval_every=4", "train.ema_decay=0.8", "train.channels_last=false")


@pytest.fixture
def unbroken(launch: Launch) -> Run:
    return launch("unbroken", *SETTINGS)


@pytest.mark.parametrize("stop", [1, 2, 5, 9, 12])
def test_stopped_and_resumed_run_is_bit_equal(launch: Launch, metrics: Metrics, unbroken: Run, stop: int) -> None:
    launch("broken", *SETTINGS, stop=stop + 1) if stop < 12 else launch("broken", *SETTINGS)
    resumed = launch("broken", *SETTINGS, resume=True)
    assert equal(resumed, unbroken)
    kept = [line for line in metrics(resumed) if "losses" in line]
    assert kept == [line for line in metrics(unbroken) if "losses" in line]
    assert [line for line in metrics(resumed) if "scores" in line][:3] == [
        line for line in metrics(unbroken) if "scores" in line
    ]
    scores = [json.loads((run.directory / "scores.json").read_text()) for run in (resumed, unbroken)]
    assert scores[0] == scores[1]
    assert resumed.best == unbroken.best


def test_run_stopped_twice_without_an_average_is_bit_equal(launch: Launch, metrics: Metrics) -> None:
    unbroken = launch("unbroken")
    launch("broken", "train.save_every=2", stop=4)  # the newest checkpoint is that of step 2
    launch("broken", "train.save_every=2", stop=9, resume=True)
    resumed = launch("broken", "train.save_every=2", resume=True)
    assert equal(resumed, unbroken)
    assert metrics(resumed) == metrics(unbroken)


@pytest.mark.parametrize("lost", ["optimizer", "average", "steps"])
def test_comparison_of_resumed_runs_sees_what_is_lost(
    launch: Launch, unbroken: Run, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    from umbel.training import resume as resume_module

    load = resume_module.load_runtime_state_dict

    def forgetful(runtime: Any, checkpoint: Any) -> None:
        load(runtime, checkpoint)
        if lost == "optimizer":
            runtime.optimizer.state.clear()
        elif lost == "average":
            for name, value in runtime.model.state_dict().items():
                runtime.average.shadow[name].copy_(value)
        else:
            runtime.steps_done -= 1

    launch("broken", *SETTINGS, stop=7)
    monkeypatch.setattr(resume_module, "load_runtime_state_dict", forgetful)
    assert not equal(launch("broken", *SETTINGS, resume=True), unbroken)


def test_resuming_with_another_recipe_is_refused(launch: Launch) -> None:
    launch("a", "train.save_every=3", stop=7)
    changes = {
        "train.seed=1": "seed, train.seed changed",
        "train.steps=20": "total_steps, train.steps changed",
        "optim.lr=0.5": "optim.lr changed",
        "tasks.first.batch_size=9": "a step had 4 images of 'first', with 1 process it has 9",
        "tasks.second=null": r"tasks\.second changed",
    }
    for override, part in changes.items():
        with pytest.raises(CheckpointError, match=part):
            launch("a", override, resume=True)
    with pytest.raises(CheckpointError, match="no usable checkpoint"):
        launch("nothing-there", resume=True)


def test_resume_gets_round_a_damaged_newest_checkpoint(launch: Launch, unbroken: Run) -> None:
    run = launch("broken", *SETTINGS, stop=9)
    (run.checkpoints / "step-00000008" / "model.safetensors").write_bytes(b"gone")
    assert equal(launch("broken", *SETTINGS, resume=True), unbroken)


def test_best_pointers_follow_the_scores_and_two_checkpoints_stay(launch: Launch, metrics: Metrics) -> None:
    run = launch("a", "train.eval_every=1", "train.save_every=1")
    scores = {line["step"]: line["scores"] for line in metrics(run) if "scores" in line}
    assert list(scores) == list(range(1, 13))
    best = set()
    for pointer, key in (("best", "score"), ("best-first", "first/closeness"), ("best-second", "second/closeness")):
        step = max(scores, key=lambda step: (scores[step][key], -step))
        assert find_checkpoint(run.checkpoints, pointer).step == step
        best.add(step)
    assert (run.checkpoints / "latest").read_text() == "step-00000012"
    kept = {int(path.name[-8:]) for path in run.checkpoints.glob("step-*")}
    assert kept == {11, 12} | best
    assert json.loads((run.directory / "scores.json").read_text()) == scores[12]


@pytest.mark.parametrize(("alone", "dropped"), [("first", "second"), ("second", "first")])
def test_each_task_trains_alone_from_the_same_head(
    launch: Launch, recipe_file: Path, new_plugins: Callable[[], Plugins], tmp_path: Path, alone: str, dropped: str
) -> None:
    heads = []
    for overrides in ((), (f"tasks.{dropped}=null",)):
        plugins = new_plugins()
        run = prepare(load_recipe(str(recipe_file), overrides, plugins), tmp_path / "unused")
        heads.append(run.runtime.model.heads[alone].linear.weight)
    assert torch.equal(heads[0], heads[1])
    run = launch("alone", f"tasks.{dropped}=null")
    assert list(run.tasks) == [alone]
    assert set(json.loads((run.directory / "scores.json").read_text())) == {f"{alone}/closeness", "score"}
    assert not torch.equal(run.runtime.model.heads[alone].linear.weight, heads[0])


def test_epochs_count_passes_over_the_longest_task(
    recipe_file: Path, new_plugins: Callable[[], Plugins], tmp_path: Path
) -> None:
    plugins = new_plugins()
    recipe = load_recipe(str(recipe_file), ("train.steps=null", "train.epochs=2.5"), plugins)
    run = prepare(recipe, tmp_path / "unused")
    assert (run.epoch_steps, run.total_steps) == (3, 8)
    assert not (tmp_path / "unused").exists()


def test_secret_of_the_environment_is_nowhere_in_the_run_folder(
    launch: Launch, recipe_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    canary = "7391846205"
    monkeypatch.setenv("UMBEL_TEST_CANARY", canary)
    recipe_file.write_text(TOY_RECIPE.replace("threshold: 60", "threshold: '${oc.env:UMBEL_TEST_CANARY}'"))
    run = launch("a")
    assert run.recipe.tasks["second"].options.threshold == int(canary)
    files = [path for path in run.directory.rglob("*") if path.is_file()]
    assert len(files) > 5
    for path in files:
        assert canary.encode() not in path.read_bytes(), path
    assert "${oc.env:UMBEL_TEST_CANARY}" in (run.directory / "recipe.yaml").read_text()


def test_saved_recipe_trains_the_same_run_again(
    launch: Launch, new_plugins: Callable[[], Plugins], tmp_path: Path
) -> None:
    run = launch("a", "train.steps=3", "tasks.second=null")
    plugins = new_plugins()
    recipe = load_recipe(str(run.directory / "recipe.yaml"), (), plugins).typed
    assert recipe == run.recipe


class Ending:
    def __init__(self) -> None:
        self.errors: list[BaseException | None] = []

    @hookimpl
    def umbel_run_finished(self, error: BaseException | None) -> None:
        self.errors.append(error)


def prepare_with(task: type[BrightTask], recipe_file: Path, out: Path, *overrides: str) -> tuple[Run, Ending]:
    class Special(ToyPlugin):
        @hookimpl
        def umbel_tasks(self) -> dict[str, type]:
            return {"bright": task}

    plugins, ending = Plugins(), Ending()
    plugins.register(Special(), Plugin("special", "1", "special"))
    plugins.register(ending, Plugin("ending", "1", "ending"))
    loaded = load_recipe(str(recipe_file), overrides, plugins)
    return prepare(loaded, out), ending


class BrokenMetric(ShareError):
    def compute(self) -> dict[str, Tensor]:
        if self.count > 1:  # one image, as before the first step, is no trouble
            raise RuntimeError("no annotations")
        return super().compute()


class FailsToScore(BrightTask):
    def metric(self) -> Metric:
        return BrokenMetric()


def test_metric_that_fails_costs_no_training(launch: Launch, recipe_file: Path, tmp_path: Path) -> None:
    whole = launch("whole")
    run, ending = prepare_with(FailsToScore, recipe_file, tmp_path / "a")
    with pytest.raises(PluginError, match=r"metric\(\)\.compute\(\).*special 1 raised.*no annotations") as caught:
        train(run)
    assert ending.errors == [caught.value]
    assert find_checkpoint(run.checkpoints).step == 12
    assert not (run.checkpoints / "best").exists()
    repaired = launch("a", resume=True)
    assert equal(repaired, whole)
    assert find_checkpoint(repaired.checkpoints, "best").step == 12


class NanMetric(ShareError):
    def compute(self) -> dict[str, Tensor]:
        return {"closeness": torch.tensor(torch.nan)}


class Undefined(BrightTask):
    def metric(self) -> Metric:
        return NanMetric()


def test_undefined_score_is_written_as_null_and_never_best(recipe_file: Path, tmp_path: Path) -> None:
    run, ending = prepare_with(Undefined, recipe_file, tmp_path / "a", "train.eval_every=6")
    train(run)
    assert ending.errors == [None]
    text = (run.directory / "scores.json").read_text()
    assert json.loads(text) == {"first/closeness": None, "second/closeness": None, "score": None}
    assert not list(run.checkpoints.glob("best*"))


class Explodes(BrightTask):
    steps = 0

    def loss(self, output: Tensor, targets: Tensor) -> Losses:
        self.steps += 1
        losses = super().loss(output, targets)
        return Losses(losses.total * (float("inf") if self.steps == 7 else 1.0), {})


def test_exploding_loss_ends_the_run_and_keeps_its_checkpoints(recipe_file: Path, tmp_path: Path) -> None:
    run, ending = prepare_with(Explodes, recipe_file, tmp_path / "a", "train.save_every=2")
    with pytest.raises(TrainingError, match="the loss of task 'first' is inf"):
        train(run)
    assert isinstance(ending.errors[0], TrainingError)
    assert find_checkpoint(run.checkpoints).step == 6


def test_formula_that_names_a_dropped_task_is_refused_before_training(launch: Launch) -> None:
    with pytest.raises(ConfigError, match="score: there is no task 'second'"):
        launch("a", "score=first + second", "tasks.second=null")


@pytest.mark.parametrize("device", ["gpu", "meta", "cuda:99"])
def test_device_that_is_not_there_is_refused(launch: Launch, device: str) -> None:
    with pytest.raises(ConfigError, match=r"device"):
        launch("a", f"train.device={device}")


def test_incomplete_task_names_what_it_lacks(recipe_file: Path, tmp_path: Path) -> None:
    class Incomplete(BrightTask):
        @abstractmethod
        def describe(self) -> str: ...

    with pytest.raises(ConfigError, match=r"tasks\.first: kind 'bright' is incomplete.*describe"):
        prepare_with(Incomplete, recipe_file, tmp_path / "a")
