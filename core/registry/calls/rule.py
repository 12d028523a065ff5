"""What a method of a contract must return."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Check = Callable[[Any, Any, tuple[Any, ...]], str]


def _anything(instance: Any, result: Any, arguments: tuple[Any, ...]) -> str:
    return ""


@dataclass(frozen=True)
class Rule:
    """One method.

    Args:
        expects: what it returns, for the message.
        check: what is wrong with a result, given the instance and the call's arguments; empty where nothing is.
        after: is handed a result that passed, to guard its own methods.
        catches: what it raises becomes a PluginError; False where the caller says which sample it was.
        combination: a ValueError says that the recipe asks for what does not go together.
    """

    expects: str = ""
    check: Check = _anything
    after: Callable[[Any, Any], None] | None = None
    catches: bool = True
    combination: bool = False
