"""Which capabilities a task has: guarded or not, of a base class or of its own, by its class or by itself."""

from __future__ import annotations

import copy
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

import able_task
import numpy as np
import pytest
from able_task import Able, AblePlugin, Shade, new
from toys import ToyPlugin

import umbel
from umbel import Draws, MakesCoco, Task
from umbel.config.build import build_tasks
from umbel.config.load import load_recipe
from umbel.contract.capabilities import CAPABILITIES
from umbel.contract.errors import PluginError
from umbel.registry.calls.guard import Guarded, guard
from umbel.registry.calls.owner import Owner
from umbel.registry.calls.task_rules import TASK
from umbel.registry.plugins import Plugin, Plugins

RECIPE = """
backbone: {name: tiny}
tasks:
  able: {kind: able, batch_size: 2, input_size: [32, 32], options: {root: absent}}
  plain: {kind: shade, batch_size: 2, input_size: [32, 32], options: {root: absent}}
train: {steps: 1}
"""

MANY = [capability for capability in CAPABILITIES if capability is not umbel.Detects]


@pytest.fixture
def guarded(tmp_path: Path) -> dict[str, Task[Any]]:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE)
    plugins = Plugins()
    plugins.register(AblePlugin(), Plugin("ables", "1", "main"))
    plugins.register(ToyPlugin(), Plugin("toys", "1", "main"))
    return build_tasks(load_recipe(str(recipe), (), plugins).typed, plugins)


def methods(capability: type) -> set[str]:
    return {name for name in vars(capability) if not name.startswith("_")}


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_a_task_has_what_it_has_methods_for(capability: type, guarded: dict[str, Task[Any]]) -> None:
    for able, plain in ((new(Able), new(Shade)), (guarded["able"], guarded["plain"])):
        assert isinstance(able, capability)
        assert not isinstance(plain, capability)
        assert not any(hasattr(plain, name) for name in methods(capability))


def test_kinds_recognise_folders_before_there_is_a_task() -> None:
    assert isinstance(Able, umbel.Detects)
    assert not isinstance(Shade, umbel.Detects)


def test_half_a_capability_is_none() -> None:
    class Half(Shade):
        def to_coco(self, prediction: Any) -> list[dict[str, Any]]:
            return []

    assert not isinstance(new(Half), MakesCoco)


def test_none_takes_a_capability_back() -> None:
    class Silent(Able):
        draw = None  # type: ignore[assignment]

    assert not isinstance(new(Silent), Draws)


@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda task: ForkingPickler.loads(ForkingPickler.dumps(task))]
)
def test_copies_of_guarded_tasks_keep_them(again: Any, guarded: dict[str, Task[Any]]) -> None:
    assert all(isinstance(again(guarded["able"]), capability) for capability in MANY)
    assert not any(isinstance(again(guarded["plain"]), capability) for capability in MANY)


def test_a_named_base_is_the_same_to_core(guarded: dict[str, Task[Any]]) -> None:
    class Named(Shade, Draws):
        def draw(self, image: np.ndarray, prediction: Any) -> np.ndarray:
            return image

    task = new(Named)
    assert isinstance(task, Draws)
    assert (task.name, task.options.root) == ("it", "absent")


def test_a_method_that_an_instance_made_for_itself_is_guarded() -> None:
    class Late(Shade):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            self.draw = lambda image, prediction: "no picture"

    task = new(Late)
    guard(task, Owner("task", "it", "late", "Late", "lates", "2"), TASK)
    assert isinstance(task, Draws)
    assert isinstance(task.draw, Guarded)
    with pytest.raises(PluginError, match=r"Late\.draw\(\) of kind 'late', lates 2 returned str"):
        task.draw(np.zeros((4, 4, 3), np.uint8), None)


def test_every_capability_is_public_and_says_what_it_is_for() -> None:
    assert {capability.__name__ for capability in CAPABILITIES} <= set(umbel.__all__)
    for capability in CAPABILITIES:
        assert capability.__doc__
        assert all(getattr(capability, name).__doc__ for name in methods(capability))


def test_no_method_of_every_task_is_a_capability() -> None:
    assert not {name for capability in CAPABILITIES for name in methods(capability)} & set(vars(Task))
    assert able_task.Able.__mro__[1] is Shade
