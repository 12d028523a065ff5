"""Making what plugins offer: the class is called and its instance guarded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from umbel.contract.backbone import Backbone
from umbel.contract.balancer import Balancer
from umbel.contract.defaults import recognised
from umbel.contract.errors import ConfigError
from umbel.registry.calls.fault import describe, passes, raised, returned
from umbel.registry.calls.guard import Guarded, guard, guard_classes
from umbel.registry.calls.model_rules import BACKBONE, BALANCER, faults_of_trunk
from umbel.registry.calls.owner import Owner, give_owner, owner_of
from umbel.registry.calls.rule import Rule
from umbel.registry.calls.task_rules import TASK

if TYPE_CHECKING:
    from pathlib import Path

    from umbel.contract.task import Task
    from umbel.registry.offer import Offer


_MODULES: dict[str, tuple[type[Any], Mapping[str, Rule]]] = {
    "backbone": (Backbone, BACKBONE),
    "balancer": (Balancer, BALANCER),
}


def make(offer: Offer, *arguments: Any, name: str, where: str) -> Any:
    """An instance of what a plugin offers.

    Args:
        offer: a task, backbone or balancer.
        arguments: of its class.
        name: of the instance in the recipe.
        where: recipe key.

    Raises:
        ConfigError: the class lacks a method.
        PluginError: it cannot be made, or lacks what its base class asks for.
    """
    made = offer.load()
    owner = _owner(offer, name, made)
    if offer.role in _MODULES:
        guard_classes(made, *_MODULES[offer.role])
    missing = sorted(getattr(made, "__abstractmethods__", ()))
    if missing:
        what = "kind" if offer.role == "task" else offer.role
        raise ConfigError(
            f"{what} '{offer.name}' is incomplete: {made.__name__} of {owner.distribution} {owner.version} "
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
    if offer.role == "task":
        guard(instance, owner, TASK)
    return instance


def remake(task: Task[Any], *arguments: Any) -> Task[Any]:
    """A task of the same class, guarded alike."""
    made = type(task)(*arguments)
    if any(isinstance(value, Guarded) for value in vars(task).values()):
        guard(made, owner_of(task), TASK)
    return made


def recognise(offer: Offer, folder: Path) -> Any:
    """What a kind of task makes of a folder.

    Raises:
        PluginError: it fails, or returns anything but a Guess or None.
    """
    owner = replace(_owner(offer, offer.name, offer.load()), role="kind")
    try:
        guess = recognised(offer.load(), folder)
    except Exception as error:
        if passes(error):
            raise
        raise raised(owner, "recognise", error, "an umbel Guess or None", f"folder {folder}") from error
    if guess is not None and not (hasattr(guess, "layout") and hasattr(guess, "options")):
        raise returned(owner, "recognise", describe(guess), "an umbel Guess or None", f"folder {folder}")
    return guess


def _owner(offer: Offer, name: str, made: type[Any]) -> Owner:
    return Owner(
        offer.role,
        name,
        kind=offer.name,
        class_name=made.__name__,
        distribution=offer.plugin.distribution,
        version=offer.plugin.version,
    )


def _check_made(instance: Any, owner: Owner, arguments: tuple[Any, ...]) -> None:
    if owner.role == "backbone":
        wrong, expected = faults_of_trunk(instance)
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
