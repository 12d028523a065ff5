"""What core does where a task lacks a capability, guarded as the task's own method would be."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from umbel.contract.task import Task
from umbel.registry.calls.guard import Guarded, guarded_call
from umbel.registry.calls.owner import known_owner
from umbel.registry.calls.task_rules import TASK


def as_method(task: Task[Any], method: str, call: Callable[..., Any], *arguments: Any) -> Any:
    """`call(task, *arguments)`; what the task itself has made may be at fault, and is then named as its method's.

    Args:
        task: the task; one that was not made from a plugin is not guarded.
        method: that stands for the call in messages, and has a rule.
        call: of `umbel.contract.defaults`.
        arguments: of the call.

    Raises:
        PluginError: the call fails or breaks the rule.
    """
    owner = known_owner(task)
    if owner is None or isinstance(vars(task).get(method), Guarded):
        return call(task, *arguments)
    return guarded_call(partial(call, task), task, TASK[method], owner, label=method, arguments=arguments, named={})
