"""The guard around every method of a contract. Errors that explain themselves pass; see `passes`.

On a task, and on what its methods return, it stands in the instance's own `__dict__`, so that its class and what it
is by `isinstance`, its capabilities too, are as they were, and it is copied and pickled with the instance.
"""

from __future__ import annotations

import functools
import inspect
import weakref
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from umbel.contract.errors import ConfigError
from umbel.registry.calls.fault import passes, raised, returned
from umbel.registry.calls.owner import Owner, give_owner, known_owner, owner_of
from umbel.registry.calls.rule import Rule

Rules = Mapping[str, Rule]

_MARK = "_umbel_guard"


class Guarded:
    """A method of an instance whose faults name it.

    Args:
        instance: whose method.
        method: its name.
        rule: what it must return.
        owner: what messages say of it.
        label: the method's name in messages, such as "metric().update".
    """

    def __init__(self, instance: Any, method: str, rule: Rule, owner: Owner, label: str) -> None:
        self._held = weakref.ref(instance) if _is_module(instance) else instance
        self.method = method
        self.rule = rule
        self.owner = owner
        self.label = label
        self.own: Callable[..., Any] | None = vars(instance).get(method)  # one that the instance has made for itself
        self.__name__ = method
        self.__doc__ = (self.own or getattr(type(instance), method)).__doc__

    @property
    def instance(self) -> Any:
        """Whose method it is; of a module a weak reference, so that its memory is free as soon as it is let go."""
        return self._held() if isinstance(self._held, weakref.ref) else self._held

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_held": self.instance}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        if _is_module(self._held):
            self._held = weakref.ref(self._held)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        instance = self.instance
        if instance is None:
            raise ReferenceError(f"{self.owner.method(self.label)} was called after its module was let go")
        call = self.own or _of_class(instance, self.method)
        return guarded_call(call, instance, self.rule, self.owner, label=self.label, arguments=arguments, named=named)


def guarded_call(
    call: Callable[..., Any],
    instance: Any,
    rule: Rule,
    owner: Owner,
    *,
    label: str,
    arguments: tuple[Any, ...],
    named: Mapping[str, Any],
) -> Any:
    """What a call returns, held against its rule; whatever goes wrong names the owner."""
    try:
        result = call(*arguments, **named)
    except Exception as error:
        if not rule.catches or passes(error):
            raise
        if rule.combination and isinstance(error, ValueError):
            raise ConfigError(
                f"the {label} cannot be built: {error}",
                where=f"tasks.{owner.name}",
                hint=f"says {owner.method(label)}",
            ) from error
        raise raised(owner, label, error, rule.expects) from error
    _hold(instance, rule, owner, label=label, result=result, arguments=(*arguments, *named.values()))
    if rule.after is not None:
        rule.after(instance, result)
    return result


def _hold(
    instance: Any, rule: Rule, owner: Owner, *, label: str, result: Any, arguments: tuple[Any, ...], sample: str = ""
) -> None:
    try:
        wrong = rule.check(instance, result, arguments)
    except Exception as error:  # a value so odd that it cannot even be looked at
        if passes(error):
            raise
        raise raised(owner, label, error, rule.expects, sample) from error
    if wrong:
        raise returned(owner, label, wrong, rule.expects, sample)


def guard_classes(made: type[Any], base: type[Any], rules: Rules) -> None:
    """Guard the methods that a class of modules, and those between it and its base class, have in place of the base's.

    Its instances would hold themselves, and their memory, by guards of their own. Only those that know their owner are
    guarded, and of methods that call each other by `super()` the outermost.

    Args:
        made: the class, whose methods are replaced.
        base: with the contract.
        rules: by method.
    """
    for one in made.__mro__:
        if one is base or not issubclass(one, base):
            continue
        for method, rule in rules.items():
            plain = vars(one).get(method)
            if inspect.isfunction(plain) and not hasattr(plain, _MARK):
                setattr(one, method, _guarded_function(plain, method, rule))


def _guarded_function(plain: Callable[..., Any], method: str, rule: Rule) -> Callable[..., Any]:
    @functools.wraps(plain)
    def call(self: Any, *arguments: Any, **named: Any) -> Any:
        owner = known_owner(self)
        if owner is None or getattr(type(self), method) is not call:
            return plain(self, *arguments, **named)
        return guarded_call(partial(plain, self), self, rule, owner, label=method, arguments=arguments, named=named)

    setattr(call, _MARK, True)
    return call


def guard(instance: Any, owner: Owner, rules: Rules, prefix: str = "") -> None:
    """Guard the methods that an instance has and that there are rules for; it gets none that it lacks.

    Args:
        instance: an object with a `__dict__`.
        owner: what messages say of it.
        rules: by method.
        prefix: goes before a method's name in messages, for what a method has returned: "metric().".
    """
    if not prefix:
        give_owner(instance, owner)
    for method, rule in rules.items():
        own = vars(instance).get(method)
        if isinstance(own, Guarded):
            continue
        if callable(own) or callable(getattr(type(instance), method, None)):
            vars(instance)[method] = Guarded(instance, method, rule, owner, f"{prefix}{method}")


def verify(instance: Any, method: str, rule: Rule, result: Any, *arguments: Any, sample: str = "") -> None:
    """Hold a value against a rule where it did not come from a guarded call.

    Raises:
        PluginError: it breaks the rule.
    """
    _hold(instance, rule, owner_of(instance), label=method, result=result, arguments=arguments, sample=sample)


def _is_module(instance: Any) -> bool:
    from torch import nn

    return isinstance(instance, nn.Module) and not hasattr(instance, "compute")  # a metric refers to itself anyway


def _of_class(instance: Any, method: str) -> Callable[..., Any]:
    """A method as the class has it, past what guards it."""
    for holder in type(instance).__mro__:
        if method in vars(holder):
            bound: Callable[..., Any] = vars(holder)[method].__get__(instance, type(instance))
            return bound
    raise AttributeError(method)
