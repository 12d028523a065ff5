"""What `train` tries before its first step: it finds what training would, and leaves no trace."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from toys import BrightDataset, BrightTask, ToyPlugin

from umbel import Losses, Sample
from umbel.config.load import load_recipe
from umbel.contract.errors import PluginError, TrainingError
from umbel.contract.hooks import hookimpl
from umbel.data import loader
from umbel.registry.plugins import Plugin, Plugins
from umbel.training.prepare import prepare
from umbel.training.restoring import restored
from umbel.training.run import Run
from umbel.training.session import train

Launch = Callable[..., Run]


def plugins_of(task: type[BrightTask]) -> Plugins:
    class Special(ToyPlugin):
        @hookimpl
        def umbel_tasks(self) -> dict[str, type]:
            return {"bright": task}

    plugins = Plugins()
    plugins.register(Special(), Plugin("special", "1", "special"))
    return plugins


def prepared(task: type[BrightTask], recipe_file: Path, out: Path, *overrides: str, trial: bool = True) -> Run:
    plugins = plugins_of(task)
    return prepare(load_recipe(str(recipe_file), overrides, plugins), out, trial=trial)


def states() -> list[Any]:
    return [random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()]  # noqa: NPY002


@pytest.mark.parametrize("balancer", ["fixed", "loss_scale", "gradient_norm", "uncertainty"])
def test_trial_leaves_no_trace(recipe_file: Path, tmp_path: Path, balancer: str) -> None:
    from umbel import balancing

    found = {}
    for trial in (False, True):
        plugins = plugins_of(BrightTask)
        plugins.register(balancing, Plugin("umbel", "0", "balancers"))
        recipe = load_recipe(str(recipe_file), (f"train.balancer.name={balancer}",), plugins)
        run = prepare(recipe, tmp_path / "a", trial=trial)
        model = run.runtime.model
        found[trial] = (model.state_dict(), states(), model.training)
        assert all(parameter.grad is None for parameter in model.parameters())
        assert not run.parts.bad_samples.found
    plain, tried = found[False], found[True]
    assert plain[0].keys() == tried[0].keys()
    for name, value in plain[0].items():
        assert torch.equal(value, tried[0][name]), name
    assert plain[1:] == tried[1:]


def test_run_with_a_trial_is_the_run_without(recipe_file: Path, tmp_path: Path) -> None:
    weights = []
    for trial in (False, True):
        run = prepared(BrightTask, recipe_file, tmp_path / str(trial), "train.ema_decay=0.9", trial=trial)
        train(run)
        weights.append(run.runtime.weights() | run.runtime.average_weights())
    for name, value in weights[0].items():
        assert torch.equal(value, weights[1][name]), name


class Restless(nn.Module):
    """Everything a module may move while it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(3)
        self.register_buffer("seen", torch.zeros(1))
        self.count = 0
        self.history: list[list[int]] = [[0]]
        self.table: dict[str, list[int]] = {"a": [1]}
        self.loose = torch.zeros(2)

    def forward(self, x: Tensor) -> Tensor:
        self.seen = self.seen + 1  # another tensor
        self.register_buffer("late", torch.ones(1))
        self.count += 1
        self.history.append([self.count])
        self.history[0].append(7)
        self.table["a"].append(2)
        self.table["b"] = [3]
        self.loose += 1
        self.fresh = 5
        return self.norm(x) * torch.rand(()) * random.random() * np.random.rand()  # noqa: NPY002


def test_what_a_module_moves_is_put_back() -> None:
    module = Restless().train()
    seen, before = module.seen, {name: value.clone() for name, value in module.state_dict().items()}
    generators = states()
    with restored(module):
        module(torch.randn(4, 3)).sum().backward()
        module.eval()
    assert module.training
    assert module.norm.training
    assert module.seen is seen
    assert list(module.state_dict()) == list(before)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert (module.count, module.history, module.table) == (0, [[0]], {"a": [1]})
    assert not hasattr(module, "fresh")
    assert module.loose.tolist() == [0, 0]
    assert module.norm.weight.grad is None
    assert states() == generators


def test_it_is_put_back_after_a_fault_as_well() -> None:
    module = Restless()
    with pytest.raises(ValueError, match="Expected more than 1 value"), restored(module):
        module(torch.randn(1, 3))
    assert module.count == 0
    assert module.seen.tolist() == [0]


class NotANumber(BrightTask):
    def loss(self, output: Tensor, targets: Tensor) -> Losses:
        return Losses(output.sum() * torch.nan)


def test_loss_that_is_not_finite_is_found_before_the_first_step(recipe_file: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"samples bright-\d+.*the loss of task 'first' is nan on its first batch"):
        prepared(NotANumber, recipe_file, tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_loss_that_training_would_pass_over_is_passed_over(recipe_file: Path, tmp_path: Path) -> None:
    run = prepared(NotANumber, recipe_file, tmp_path / "a", "train.non_finite=skip", "train.steps=3")
    train(run)
    assert run.parts.guard.skipped == 3


class Spoilt(BrightTask):
    def dataset(self, split: str) -> Any:
        class Holes(BrightDataset):
            def __getitem__(self, index: int) -> Sample:
                if "train" in self.name and index % 3 == 0:
                    raise KeyError(index)
                return super().__getitem__(index)

        return Holes(f"{self.name}-{split}", self.options, self.config.input_size)


def test_bad_samples_are_neither_counted_nor_told(
    recipe_file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = prepared(Spoilt, recipe_file, tmp_path / "a", "train.bad_samples=4")
    assert not run.parts.bad_samples.found
    assert "bad sample" not in caplog.text


def test_no_worker_is_started(recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*arguments: Any, **named: Any) -> None:
        raise AssertionError("a loader was made")

    monkeypatch.setattr(loader, "DataLoader", refused)
    prepared(BrightTask, recipe_file, tmp_path / "a", "tasks.first.workers=2", "tasks.second.workers=1")


class Painter(BrightTask):
    def draw(self, image: np.ndarray, prediction: Any) -> np.ndarray:
        image[:] = 0
        return image


class Kept(BrightTask):
    """Its data set gives the same arrays each time."""

    draw = Painter.draw
    kept: Any = None

    def dataset(self, split: str) -> Any:
        stored = super().dataset(split)
        samples = [stored[index] for index in range(len(stored))]  # type: ignore[arg-type]
        if split == "val":
            type(self).kept = samples
        return samples


def test_images_of_the_data_set_are_not_drawn_into(recipe_file: Path, tmp_path: Path) -> None:
    prepared(Kept, recipe_file, tmp_path / "a", "tasks.second=null")
    assert Kept.kept[0].image.any()


class FailsToDecode(BrightTask):
    def decode(self, output: Tensor, view: Any) -> list[float]:
        raise AttributeError("'Tensor' object has no attribute 'total'")


def test_resumed_run_needs_none(recipe_file: Path, tmp_path: Path, launch: Launch) -> None:
    run = launch("a", "train.save_every=2", stop=4)
    assert run.checkpoints.exists()
    prepared(FailsToDecode, recipe_file, tmp_path / "a", trial=False)
    with pytest.raises(PluginError, match=r"FailsToDecode\.decode\(\) of kind 'bright', special 1 raised"):
        prepared(FailsToDecode, recipe_file, tmp_path / "b")


class Collates(BrightTask):
    def collate_targets(self, targets: Any) -> Any:
        if len(set(targets)) > 1 and getattr(self, "late", False):
            raise TypeError("no tensor")
        return super().collate_targets(targets)


def test_fault_in_a_worker_keeps_its_name_and_its_traceback(recipe_file: Path, tmp_path: Path) -> None:
    run = prepared(Collates, recipe_file, tmp_path / "a", "tasks.first.workers=1", "tasks.second=null")
    run.tasks["first"].late = True  # type: ignore[attr-defined]
    with pytest.raises(PluginError, match=r"samples bright-.*Collates\.collate_targets\(\).*no tensor") as caught:
        train(run)
    assert "in a loader's worker" in str(caught.value.__cause__)
    assert 'raise TypeError("no tensor")' in str(caught.value.__cause__)
