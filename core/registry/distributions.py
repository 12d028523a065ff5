"""Installed distributions with entry points of umbel, and which of them the environment lets in."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from importlib.metadata import EntryPoint, distributions

from umbel.contract import hooks


def found_distributions() -> Iterator[tuple[str, str, list[EntryPoint]]]:
    """Name, version and umbel's entry points of every distribution; of two copies the one first on the path counts."""
    seen = set()
    for distribution in distributions():
        try:
            own = [e for e in distribution.entry_points if re.fullmatch(rf"{hooks.PROJECT}\.v\d+", e.group)]
            name, version = (distribution.metadata["Name"], distribution.version) if own else (None, "")
        except Exception:  # a damaged distribution must not take umbel with it
            continue
        if name and canonical(name) not in seen:
            seen.add(canonical(name))
            yield name, version, own


def names_from_env(variable: str) -> frozenset[str] | None:
    """The names that a variable lists, separated by commas; None where it is not set."""
    text = os.environ.get(variable)
    return None if text is None else frozenset(name.strip() for name in text.split(",") if name.strip())


def canonical(name: str) -> str:
    """A distribution's name as PEP 503 compares it: My_Plugin and my-plugin are one."""
    return re.sub(r"[-_.]+", "-", name).lower()
