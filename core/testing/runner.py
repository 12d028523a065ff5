"""pytest where it is installed; without it the contracts can be imported and read, and say what runs them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

from umbel.contract.errors import PluginError

F = TypeVar("F", bound=Callable[..., Any])


def _absent(*arguments: Any, **named: Any) -> NoReturn:
    raise PluginError(
        "pytest runs the contracts and is not installed",
        where="umbel.testing",
        hint="pip install pytest, or pip install -e '.[test]' in a folder that umbel new-task has written",
    )


class _Mark:
    @staticmethod
    def parametrize(*arguments: Any) -> Callable[[F], F]:
        return lambda test: test


class _Stub:
    """As much of pytest as the contracts name."""

    mark = _Mark()
    skip = staticmethod(_absent)

    @staticmethod
    def fixture(function: Callable[..., Any]) -> Callable[..., Any]:
        """What makes the fixture of a contract; every one of its tests asks for it."""
        return _absent


try:
    import pytest
except ModuleNotFoundError:
    pytest = _Stub()  # type: ignore[assignment]

__all__ = ["pytest"]
