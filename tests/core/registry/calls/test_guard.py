"""A guard changes nothing but errors: class, copies, pickles, memory and what passes it."""

from __future__ import annotations

import copy
import gc
import weakref
from collections.abc import Callable
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from toys import BrightTask, ToyPlugin

from umbel import Losses, Task
from umbel.config.build import build_tasks
from umbel.config.load import load_recipe
from umbel.contract.errors import ConfigError, PluginError, StopRequestedError
from umbel.contract.hooks import hookimpl
from umbel.registry.calls.owner import owner_of
from umbel.registry.make import detect, remake
from umbel.registry.plugins import Plugin, Plugins, Registration
from umbel.runtime.build import build
from umbel.training.run import Run

NewPlugins = Callable[[], Plugins]


class Moody(BrightTask):
    raises: BaseException = KeyError("lost")

    def loss(self, output: Tensor, targets: Tensor) -> Losses:
        raise self.raises


class MoodyPlugin(ToyPlugin):
    @hookimpl
    def umbel_tasks(self) -> dict[str, type]:
        return {"bright": Moody}


@pytest.fixture
def task(recipe_file: Path) -> Task[Any]:
    plugins = Plugins()
    plugins.register(MoodyPlugin(), Plugin("moody", "2", "moody"))
    return build_tasks(load_recipe(str(recipe_file), (), plugins).typed, plugins)["first"]


def test_class_is_what_it_was(task: Task[Any]) -> None:
    assert type(task) is Moody
    assert isinstance(task, BrightTask)
    assert type(task).loss is Moody.loss
    assert type(task).restore is Task.restore
    assert not hasattr(task, "filter")
    assert task.loss.__doc__ == Moody.loss.__doc__
    assert owner_of(task).method("loss") == "Moody.loss() of kind 'bright', moody 2"


@pytest.mark.parametrize(
    "again", [lambda task: ForkingPickler.loads(ForkingPickler.dumps(task)), copy.deepcopy, copy.copy]
)
def test_copies_are_guarded(task: Task[Any], again: Callable[[Task[Any]], Task[Any]]) -> None:
    with pytest.raises(PluginError, match=r"task 'first': Moody\.loss\(\) of kind 'bright', moody 2 raised KeyError"):
        again(task).loss(torch.zeros(1), torch.zeros(1))


def test_one_made_again_is_guarded(task: Task[Any]) -> None:
    with pytest.raises(PluginError, match="moody 2 raised KeyError"):
        remake(task, task.name, task.config, task.options).loss(torch.zeros(1), torch.zeros(1))


@pytest.mark.parametrize(
    "error",
    [ConfigError("no"), MemoryError(), StopRequestedError(), KeyboardInterrupt(), torch.OutOfMemoryError("full")],
    ids=lambda error: type(error).__name__,
)
def test_what_explains_itself_passes(task: Task[Any], error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Moody, "raises", error)
    with pytest.raises(type(error)) as caught:
        task.loss(torch.zeros(1), torch.zeros(1))
    assert caught.value is error


def test_another_rank_that_is_gone_is_nobodys_fault(task: Task[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Moody, "raises", RuntimeError("[gloo] Connection closed by peer"))
    with pytest.raises(PluginError):
        task.loss(torch.zeros(1), torch.zeros(1))
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(RuntimeError, match="closed by peer"):
        task.loss(torch.zeros(1), torch.zeros(1))


def test_model_is_freed_as_soon_as_it_is_let_go(recipe_file: Path, new_plugins: NewPlugins) -> None:
    plugins = new_plugins()
    _, model = build(load_recipe(str(recipe_file), (), plugins).typed, plugins, pretrained=False)
    parts = [weakref.ref(part) for part in (model, model.backbone, model.heads["first"], model.balancer)]
    gc.disable()
    try:
        del model
        assert [part() for part in parts] == [None] * 4
    finally:
        gc.enable()


def test_copy_of_a_model_is_guarded_and_calls_itself(recipe_file: Path, new_plugins: NewPlugins) -> None:
    plugins = new_plugins()
    _, model = build(load_recipe(str(recipe_file), (), plugins).typed, plugins, pretrained=False)
    other = copy.deepcopy(model).eval()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    images = torch.zeros(1, 3, 16, 16, dtype=torch.uint8)
    with torch.no_grad():
        assert float(other(images, "first")) == 0
        assert float(model.eval()(images, "first")) != 0
    with pytest.raises(PluginError, match=r"backbone 'tiny': TinyBackbone\.forward\(\) of toy-tasks 1\.0 raised"):
        other.backbone(torch.zeros(1, 5, 16, 16), "first")


class Blind(BrightTask):
    @classmethod
    def detect(cls, folder: Path) -> Any:
        return (folder / "absent").read_text()


def test_kind_that_cannot_detect_a_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=r"kind 'blind'.*Blind\.detect\(\) of .*blinds 4 raised FileNotFoundError"):
        detect(Registration("task", "blind", Blind, Plugin("blinds", "4", "main")), tmp_path)


class FullDisk:
    @hookimpl
    def umbel_step_finished(self, run: Run) -> None:
        raise OSError(28, "No space left on device", "losses.csv")


def test_observer_that_cannot_write_is_named_and_costs_no_training(
    recipe_file: Path, tmp_path: Path, new_plugins: NewPlugins, caplog: pytest.LogCaptureFixture
) -> None:
    from umbel.training.prepare import prepare
    from umbel.training.session import train

    plugins = new_plugins()
    plugins.register(FullDisk(), Plugin("tracker", "1", "main"))
    train(prepare(load_recipe(str(recipe_file), ("train.steps=2",), plugins), tmp_path / "run"))
    assert caplog.text.count("an observer cannot write") == 1
    assert "observer 'tracker:main': umbel_step_finished() of tracker 1" in caplog.text
