"""Declaring the options of a task or backbone: a dataclass whose fields carry their documentation."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import field, fields
from typing import Any

MISSING: Any = "???"  # omegaconf's mark of a value that the recipe must give


def option(default: Any = MISSING, doc: str = "") -> Any:
    """A dataclass field with a default and a sentence of documentation for `umbel show --schema`.

    Args:
        default: the default value; lists and dicts are copied for every instance; without one the key is required.
        doc: what the option does, with units.
    """
    if isinstance(default, (list, dict)):
        return field(default_factory=lambda: copy.deepcopy(default), metadata={"doc": doc})
    return field(default=default, metadata={"doc": doc})


def option_docs(options: type) -> dict[str, str]:
    """Documentation of every field of an Options dataclass, by name."""
    return {f.name: str(f.metadata.get("doc", "")) for f in fields(options)}


def check_choice(name: str, value: Any, choices: Iterable[Any]) -> None:
    """Raise ValueError unless `value` is one of `choices`; for use in `__post_init__`."""
    allowed = list(choices)
    if value not in allowed:
        raise ValueError(f"{name} is {value!r}; choose one of {', '.join(map(repr, allowed))}")


def check_range(name: str, value: float, low: float, high: float) -> None:
    """Raise ValueError unless low <= value <= high; for use in `__post_init__`."""
    if not low <= value <= high:
        raise ValueError(f"{name} is {value!r}; it must lie in {low:g}..{high:g}")


def check_interval(name: str, values: Sequence[float], low: float, high: float) -> None:
    """Raise ValueError unless `values` is [smallest, largest] within low..high; for use in `__post_init__`."""
    if len(values) != 2 or not low <= values[0] <= values[1] <= high:
        raise ValueError(f"{name} is {list(values)}; expected [smallest, largest] within {low:g}..{high:g}")


def check_unique(name: str, values: Iterable[str]) -> None:
    """Raise ValueError if a value is given twice; for use in `__post_init__`."""
    twice = [value for value, count in Counter(values).items() if count > 1]
    if twice:
        raise ValueError(f"{name} repeat: {', '.join(map(str, twice))}")
