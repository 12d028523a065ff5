"""What a plugin is and what it registers: where it comes from, and the class behind a name."""

from __future__ import annotations

from dataclasses import dataclass, is_dataclass
from importlib import import_module
from typing import Any

from umbel.contract.errors import PluginError

OWN_DISTRIBUTION = "umbel"

ROLES = ("task", "backbone", "balancer", "recipe")  # what is offered by name, through the hook of that name and an s


@dataclass(frozen=True)
class Plugin:
    """One entry point: where it comes from, and what went wrong if it did not load."""

    distribution: str
    version: str
    entry_point: str
    error: str = ""

    @property
    def id(self) -> str:
        return f"{self.distribution}:{self.entry_point}"


@dataclass(frozen=True)
class Registration:
    """A task kind, backbone, balancer or recipe that a plugin registers."""

    role: str  # "task", "backbone", "balancer" or "recipe"
    name: str
    target: Any  # the class, or "module:Class"; the path of a recipe
    plugin: Plugin

    def load(self) -> type[Any]:
        """The class itself, imported now if it was registered by name.

        Raises:
            PluginError: if it does not import, or is not a class with a dataclass `Options`.
        """
        loaded = self.target
        where, hint = f"plugin {self.plugin.id} {self.plugin.version}", "repair or uninstall the distribution"
        if isinstance(self.target, str):
            module, _, attribute = self.target.partition(":")
            try:
                loaded = getattr(import_module(module), attribute)
            except (Exception, SystemExit) as error:
                reason = f"{self.role} '{self.name}' does not import: {type(error).__name__}: {error}"
                raise PluginError(reason, where=where, hint=hint) from error
        if not isinstance(loaded, type) or not is_dataclass(getattr(loaded, "Options", None)):
            reason = f"{self.role} '{self.name}' is not a class with a dataclass Options, but {loaded!r}"
            raise PluginError(reason, where=where, hint=hint)
        return loaded
