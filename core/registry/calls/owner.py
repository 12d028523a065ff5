"""Whose code a call runs: which task, backbone, balancer or observer, and of which distribution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_KEY = "_umbel_owner"


@dataclass(frozen=True)
class Owner:
    """What a message says about the code that was called.

    Args:
        role: "task", "backbone", "balancer" or "observer".
        name: of the instance in the recipe, or of the observer's plugin.
        kind: of a task, as the recipe writes it; else the name again.
        class_name: where its methods are; empty for an observer's functions.
        distribution: that it comes from; empty where it was not made from a plugin.
        version: of the distribution.
    """

    role: str
    name: str
    kind: str
    class_name: str
    distribution: str = ""
    version: str = ""

    @property
    def who(self) -> str:
        """ "task 'road'"."""
        return f"{self.role} '{self.name}'"

    def method(self, name: str) -> str:
        """ "Shade.decode() of kind 'shade', umbel-shade 1.0"."""
        call = name if name.endswith(")") or "]" in name else f"{name}()"
        call = f"{self.class_name}.{call}" if self.class_name else call
        kind = f"kind '{self.kind}'" if self.role == "task" else ""
        source = f"{self.distribution} {self.version}".strip()
        return " of ".join(filter(None, (call, ", ".join(filter(None, (kind, source))))))


def give_owner(instance: object, owner: Owner) -> None:
    """Have an instance know whose it is."""
    vars(instance)[_KEY] = owner


def known_owner(instance: object) -> Owner | None:
    """Whose an instance is, if it was made from a plugin."""
    owner = vars(instance).get(_KEY)
    return owner if isinstance(owner, Owner) else None


def owner_of(instance: Any) -> Owner:
    """Whose an instance is; of a task that nobody built from a plugin, what it says of itself."""
    known = known_owner(instance)
    if known is not None:
        return known
    name = str(getattr(instance, "name", "?"))
    kind = str(getattr(getattr(instance, "config", None), "kind", name))
    return Owner("task", name, kind, type(instance).__name__)
