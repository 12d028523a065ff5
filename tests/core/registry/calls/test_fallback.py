"""What core does in place of a method names the task like the method, and nobody else."""

from __future__ import annotations

from typing import Any

import pytest
from able_task import Able, Shade, new

from umbel.contract.defaults import inspected, json_of
from umbel.contract.errors import PluginError
from umbel.registry.calls.fallback import as_method
from umbel.registry.calls.guard import guard
from umbel.registry.calls.owner import Owner
from umbel.registry.calls.task_rules import TASK

SHADES = Owner("task", "it", "shade", "Shade", "shades", "2")


class Unreadable:
    def __getitem__(self, index: int) -> Any:
        raise KeyError("lost")


def test_what_no_json_can_hold_is_named() -> None:
    task = new(Shade)
    guard(task, SHADES, TASK)
    assert as_method(task, "to_json", json_of, (1, "a")) == [1, "a"]
    with pytest.raises(PluginError, match=r"task 'it'.*Shade\.to_json\(\) of kind 'shade', shades 2 returned .*object"):
        as_method(task, "to_json", json_of, {"odd": object()})


def test_sample_that_cannot_be_looked_at_is_named() -> None:
    task = new(Shade)
    guard(task, SHADES, TASK)
    with pytest.raises(PluginError, match=r"Shade\.inspect\(\) of kind 'shade', shades 2 raised KeyError: 'lost'"):
        as_method(task, "inspect", inspected, Unreadable(), 0)


def test_method_of_the_task_is_guarded_once() -> None:
    task, asked = new(Able), []
    guard(task, SHADES, TASK)

    def ask(task: Any, prediction: Any) -> Any:
        asked.append(prediction)
        return object()  # what the task's own guard has let pass is not looked at again

    as_method(task, "to_json", ask, 1)
    assert asked == [1]


def test_task_that_no_plugin_made_is_not_guarded() -> None:
    with pytest.raises(KeyError, match="lost"):
        as_method(new(Shade), "inspect", inspected, Unreadable(), 0)
