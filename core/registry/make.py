"""Making what plugins register: the class is called and its instance guarded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from umbel.contract.backbone import Backbone
from umbel.contract.balancer import Balancer
from umbel.contract.defaults import detected_in
from umbel.contract.errors import ConfigError
from umbel.registry.calls.fault import describe, passes, raised, returned
from umbel.registry.calls.guard import Guarded, guard, guard_classes
from umbel.registry.calls.model_rules import BACKBONE, BALANCER, faults_of_backbone
from umbel.registry.calls.owner import Owner, give_owner, owner_of
from umbel.registry.calls.rule import Rule
from umbel.registry.calls.task_rules import TASK

if TYPE_CHECKING:
    from pathlib import Path

    from umbel.contract.task import Task
    from umbel.registry.registration import Registration


_MODULES: dict[str, tuple[type[Any], Mapping[str, Rule]]] = {
    "backbone": (Backbone, BACKBONE),
    "balancer": (Balancer, BALANCER),
}


def make(registration: Registration, *arguments: Any, name: str, where: str) -> Any:
    """An instance of what a plugin registers.

    Args:
        registration: a task, backbone or balancer.
        arguments: of its class.
        name: of the instance in the recipe.
        where: recipe key.

    Raises:
        ConfigError: the class lacks a method.
        PluginError: it cannot be made, or lacks what its base class asks for.
    """
    made = registration.load()
    owner = _owner(registration, name, made)
    if registration.role in _MODULES:
        guard_classes(made, *_MODULES[registration.role])
    missing = sorted(getattr(made, "__abstractmethods__", ()))
    if missing:
        what = "kind" if registration.role == "task" else registration.role
        raise ConfigError(
            f"{what} '{registration.name}' is incomplete: {made.__name__} of {owner.distribution} {owner.version} "
            f"does not implement {', '.join(missing)}",
            where=where,
        )
    try:
        instance = made(*arguments)
    except Exception as error:
        if passes(error):
            raise
        raise raised(owner, "__init__", error) from error
    _check_made(instance, owner, arguments)
    give_owner(instance, owner)
    if registration.role == "task":
        guard(instance, owner, TASK)
    return instance


def remake(task: Task[Any], *arguments: Any) -> Task[Any]:
    """A task of the same class, guarded alike."""
    made = type(task)(*arguments)
    if any(isinstance(value, Guarded) for value in vars(task).values()):
        guard(made, owner_of(task), TASK)
    return made


def detect(registration: Registration, folder: Path) -> Any:
    """What a kind of task makes of a folder.

    Raises:
        PluginError: it fails, or returns anything but a DetectedDataset or None.
    """
    owner = replace(_owner(registration, registration.name, registration.load()), role="kind")
    try:
        detected = detected_in(registration.load(), folder)
    except Exception as error:
        if passes(error):
            raise
        raise raised(owner, "detect", error, "an umbel DetectedDataset or None", f"folder {folder}") from error
    if detected is not None and not (hasattr(detected, "layout") and hasattr(detected, "options")):
        raise returned(owner, "detect", describe(detected), "an umbel DetectedDataset or None", f"folder {folder}")
    return detected


def _owner(registration: Registration, name: str, made: type[Any]) -> Owner:
    return Owner(
        registration.role,
        name,
        kind=registration.name,
        class_name=made.__name__,
        distribution=registration.plugin.distribution,
        version=registration.plugin.version,
    )


def _check_made(instance: Any, owner: Owner, arguments: tuple[Any, ...]) -> None:
    if owner.role == "backbone":
        wrong, expected = faults_of_backbone(instance)
        if wrong:
            raise returned(owner, "__init__", wrong, expected)
    if owner.role == "task":
        if getattr(instance, "name", None) != arguments[0] or not hasattr(instance, "config"):
            raise returned(
                owner, "__init__", "without calling super().__init__()", "super().__init__(name, config, options)"
            )
        if not isinstance(getattr(instance, "main_metric", None), str):
            wrong = f"an object whose main_metric is {getattr(instance, 'main_metric', 'absent')!r}"
            raise returned(owner, "__init__", wrong, "main_metric: the key of metric().compute() that is the score")
