"""Finding plugins: entry points, provenance, collisions, allow and deny lists.

pluggy's own entry-point loader silently drops a second entry point of the same name; this one keeps every one, named
"distribution:entry point", imports none that is blocked, and records the error of one that does not import.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import EntryPoint, distributions
from typing import TYPE_CHECKING, Any

import pluggy

from umbel import hooks
from umbel.errors import PluginError

if TYPE_CHECKING:
    from umbel.backbone import Backbone
    from umbel.task import Task

OWN_DISTRIBUTION = "umbel"


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
class Offer:
    """A task kind or backbone that a plugin offers."""

    role: str  # "task" or "backbone"
    name: str
    target: Any  # the class, or "module:Class"
    plugin: Plugin

    def load(self) -> type:
        """The class itself, imported now if it was offered by name."""
        if not isinstance(self.target, str):
            loaded: type = self.target
            return loaded
        module, _, attribute = self.target.partition(":")
        try:
            imported: type = getattr(import_module(module), attribute)
        except Exception as error:
            raise PluginError(
                f"{self.role} '{self.name}' does not import: {type(error).__name__}: {error}",
                where=f"plugin {self.plugin.id} {self.plugin.version}",
                hint="repair or uninstall the distribution",
            ) from error
        return imported


class Plugins:
    """All plugins of this environment.

    Args:
        allow: names of distributions to load besides umbel's own; None loads all. Default: $UMBEL_PLUGINS.
        deny: names of distributions, entry points or "distribution:entry point" not to import. Default: $UMBEL_DISABLE.
    """

    def __init__(self, allow: frozenset[str] | None = None, deny: frozenset[str] | None = None) -> None:
        self.allow = _names_from_env("UMBEL_PLUGINS") if allow is None else allow
        self.deny = (_names_from_env("UMBEL_DISABLE") or frozenset()) if deny is None else deny
        self.manager = pluggy.PluginManager(hooks.PROJECT)
        self.manager.add_hookspecs(hooks)
        self.found: dict[str, Plugin] = {}
        self.blocked: list[str] = []
        self.foreign: dict[str, set[str]] = {}

    @classmethod
    def discover(cls) -> Plugins:
        """Load every entry point of this API version that is not blocked."""
        plugins = cls()
        for distribution, version, entry_point in _entry_points():
            if entry_point.group == hooks.ENTRY_POINT_GROUP:
                plugins._load(distribution, version, entry_point)
            else:
                plugins.foreign.setdefault(distribution, set()).add(entry_point.group)
        plugins.foreign = {
            name: groups
            for name, groups in plugins.foreign.items()
            if name not in {plugin.distribution for plugin in plugins.found.values()}
        }
        return plugins

    def register(self, module: object, plugin: Plugin) -> None:
        """Register a module or object with hook implementations under its provenance."""
        try:
            self.manager.register(module, name=plugin.id)
            self.manager.check_pending()
        except Exception as error:
            if self.manager.has_plugin(plugin.id):
                self.manager.unregister(name=plugin.id)
            raise PluginError(f"is not a valid plugin: {error}", where=f"plugin {plugin.id}") from None
        self.found[plugin.id] = plugin

    def offers(self, role: str) -> list[Offer]:
        """Everything offered for a role ("task" or "backbone"), in the order of registration."""
        hook = {"task": self.manager.hook.umbel_tasks, "backbone": self.manager.hook.umbel_backbones}[role]
        offers = []
        for name, mapping in self._call_each(hook):
            plugin = self.found.get(name, Plugin("unknown", "", name))
            if not isinstance(mapping, Mapping):
                self.found[name] = Plugin(
                    plugin.distribution,
                    plugin.version,
                    plugin.entry_point,
                    f"umbel_{role}s returned {type(mapping).__name__}, not a mapping of name to class",
                )
                continue
            offers += [Offer(role, kind, target, plugin) for kind, target in mapping.items()]
        return offers

    def recipes(self) -> dict[str, str]:
        """Paths of named recipes."""
        found: dict[str, str] = {}
        for _, mapping in self._call_each(self.manager.hook.umbel_recipes):
            found.update(mapping)
        return found

    def find(self, role: str, name: str, where: str) -> Offer:
        """The one offer of this name; "distribution/name" picks one of several.

        Raises:
            PluginError: if there is none, or more than one; it lists what is installed and from where.
        """
        offers = self.offers(role)
        distribution, _, kind = name.rpartition("/")
        matches = [o for o in offers if o.name == kind and distribution in ("", o.plugin.distribution)]
        if len(matches) == 1:
            return matches[0]
        if matches:
            owners = " and ".join(f"{o.plugin.id} {o.plugin.version}" for o in matches)
            choices = " or ".join(f"{o.plugin.distribution}/{kind}" for o in matches)
            raise PluginError(f"{role} '{name}' is offered by {owners}", where=where, hint=f"write {choices}")
        listed = ", ".join(f"{o.name} ({o.plugin.distribution})" for o in offers) or "none"
        close = difflib.get_close_matches(kind, [o.name for o in offers], n=1)
        suggestion = f"did you mean '{close[0]}'? " if close else ""
        broken = "; ".join(f"{p.id} is broken: {p.error}" for p in self.found.values() if p.error)
        blocked = f"; blocked: {', '.join(self.blocked)}" if self.blocked else ""
        raise PluginError(
            f"unknown {role} '{name}'",
            where=where,
            hint=f"{suggestion}installed: {listed}{'; ' + broken if broken else ''}{blocked}",
        )

    def task_class(self, kind: str, where: str) -> type[Task[Any]]:
        """The Task class of a kind."""
        return self.find("task", kind, where).load()

    def backbone_class(self, name: str, where: str) -> type[Backbone]:
        """The Backbone class of a name."""
        return self.find("backbone", name, where).load()

    def _load(self, distribution: str, version: str, entry_point: EntryPoint) -> None:
        plugin = Plugin(distribution, version, entry_point.name)
        if plugin.id in self.found or plugin.id in self.blocked:
            return
        refused = {distribution, entry_point.name, plugin.id} & self.deny
        if refused or (self.allow is not None and distribution not in {OWN_DISTRIBUTION, *self.allow}):
            self.blocked.append(plugin.id)
            return
        try:
            self.register(entry_point.load(), plugin)
        except Exception as error:  # a third party's import may raise anything
            reason = error.message if isinstance(error, PluginError) else f"{type(error).__name__}: {error}"
            self.found[plugin.id] = Plugin(distribution, version, entry_point.name, reason)

    def _call_each(self, hook: pluggy.HookCaller) -> Iterator[tuple[str, Any]]:
        for implementation in hook.get_hookimpls():
            try:
                yield implementation.plugin_name, implementation.function()
            except Exception as error:
                name = implementation.plugin_name
                plugin = self.found.get(name, Plugin("unknown", "", name))
                reason = f"{hook.name} raised {type(error).__name__}: {error}"
                self.found[name] = Plugin(plugin.distribution, plugin.version, plugin.entry_point, reason)


def _entry_points() -> Iterator[tuple[str, str, EntryPoint]]:
    for distribution in distributions():
        for entry_point in distribution.entry_points:
            if entry_point.group.startswith(f"{hooks.PROJECT}.v"):
                yield distribution.metadata["Name"], distribution.version, entry_point


def _names_from_env(variable: str) -> frozenset[str] | None:
    text = os.environ.get(variable)
    return None if text is None else frozenset(name.strip() for name in text.split(",") if name.strip())
