"""The guard around the functions of an observer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from umbel.registry.calls.fault import passes, raised
from umbel.registry.calls.owner import Owner


class ObserverCall:
    """A function of an observer. An OSError stays one, for an observer that cannot write costs no training.

    Args:
        function: of the observer.
        plugin: name of its plugin.
        distribution: that it comes from.
        version: of the distribution.
    """

    def __init__(self, function: Callable[..., object], plugin: str, distribution: str, version: str) -> None:
        self.function = function
        self.owner = Owner("observer", plugin, kind=plugin, class_name="", distribution=distribution, version=version)

    def __call__(self, *arguments: Any) -> object:
        name = getattr(self.function, "__name__", "hook")
        try:
            return self.function(*arguments)
        except OSError as error:
            if passes(error) or error.errno is None:
                raise
            reason = f"{error.strerror} ({self.owner.who}: {self.owner.method(name)})"
            raise OSError(error.errno, reason, error.filename) from error
        except Exception as error:
            if passes(error):
                raise
            raise raised(self.owner, name, error) from error
