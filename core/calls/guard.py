"""The guard around every method of a contract: put on an instance once, where it is made.

It stands in the instance's own `__dict__`, so that its class, `isinstance` and `type(task).merge is Task.merge` are as
they were, and it is copied and pickled with the instance. Errors that explain themselves pass; see `passes`.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import Any

from umbel.calls.fault import passes, raised, returned
from umbel.calls.owner import Owner, give_owner, owner_of
from umbel.calls.rule import Rule
from umbel.errors import ConfigError

Rules = Mapping[str, Rule]


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
        self.__doc__ = getattr(type(instance), method).__doc__

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
        call = self.own or _of_class(instance, self.method)
        try:
            result = call(*arguments, **named)
        except Exception as error:
            if not self.rule.catches or passes(error):
                raise
            if self.rule.combination and isinstance(error, ValueError):
                raise ConfigError(
                    f"the {self.method} cannot be built: {error}",
                    where=f"tasks.{self.owner.name}",
                    hint=f"says {self.owner.method(self.label)}",
                ) from error
            raise raised(self.owner, self.label, error, self.rule.expects) from error
        wrong = self._wrong(instance, result, (*arguments, *named.values()))
        if wrong:
            raise returned(self.owner, self.label, wrong, self.rule.expects)
        if self.rule.after is not None:
            self.rule.after(instance, result)
        return result

    def _wrong(self, instance: Any, result: Any, arguments: tuple[Any, ...]) -> str:
        try:
            return self.rule.check(instance, result, arguments)
        except Exception as error:  # a value so odd that it cannot even be looked at
            if passes(error):
                raise
            raise raised(self.owner, self.label, error, self.rule.expects) from error


def guard(instance: Any, owner: Owner, rules: Rules, prefix: str = "") -> None:
    """Guard the methods of an instance that there are rules for.

    Args:
        instance: an object with a `__dict__`.
        owner: what messages say of it.
        rules: by method.
        prefix: goes before a method's name in messages, for what a method has returned: "metric().".
    """
    if not prefix:
        give_owner(instance, owner)
    for method, rule in rules.items():
        if not isinstance(vars(instance).get(method), Guarded) and callable(getattr(type(instance), method, None)):
            vars(instance)[method] = Guarded(instance, method, rule, owner, f"{prefix}{method}")


def verify(instance: Any, method: str, rule: Rule, result: Any, *arguments: Any, sample: str = "") -> None:
    """Hold a value against a rule where it did not come from a guarded call.

    Raises:
        PluginError: it breaks the rule.
    """
    owner = owner_of(instance)
    try:
        wrong = rule.check(instance, result, arguments)
    except Exception as error:
        if passes(error):
            raise
        raise raised(owner, method, error, rule.expects, sample) from error
    if wrong:
        raise returned(owner, method, wrong, rule.expects, sample)


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
