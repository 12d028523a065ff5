"""Finding plugins: entry points, provenance, collisions, allow and deny lists.

pluggy's own entry-point loader silently drops a second entry point of the same name; this one keeps every one, named
"distribution:entry point", imports none that is blocked, and records the error of one that does not import.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Any

import pluggy

from umbel.contract import hooks
from umbel.contract.errors import PluginError
from umbel.contract.hooks import FIXED
from umbel.registry.calls.observer import ObserverCall
from umbel.registry.distributions import canonical, found_distributions, names_from_env
from umbel.registry.registration import OWN_DISTRIBUTION, Plugin, Registration

if TYPE_CHECKING:
    import click

    from umbel.contract.backbone import Backbone
    from umbel.contract.balancer import Balancer
    from umbel.contract.task import Task


OBSERVER_HOOKS = ("umbel_run_started", "umbel_step_finished", "umbel_evaluated", "umbel_run_finished")


class Plugins:
    """All plugins of this environment.

    Args:
        allow: names of distributions to load besides umbel's own; None loads all. Default: $UMBEL_PLUGINS.
        deny: names of distributions, entry points or "distribution:entry point" not to import. Default: $UMBEL_DISABLE.
    """

    def __init__(self, allow: frozenset[str] | None = None, deny: frozenset[str] | None = None) -> None:
        allow = names_from_env("UMBEL_PLUGINS") if allow is None else allow
        deny = (names_from_env("UMBEL_DISABLE") or frozenset()) if deny is None else deny
        self.allow = None if allow is None else frozenset(map(canonical, allow))
        self.deny = frozenset(map(canonical, deny))
        self.manager = pluggy.PluginManager(hooks.PROJECT)
        self.manager.add_hookspecs(hooks)
        self.found: dict[str, Plugin] = {}
        self.blocked: list[str] = []
        self.foreign: dict[str, set[str]] = {}

    @classmethod
    def discover(cls) -> Plugins:
        """Load every entry point of this API version that is not blocked."""
        plugins = cls()
        for name, version, entry_points in found_distributions():
            for entry_point in entry_points:
                if entry_point.group == hooks.ENTRY_POINT_GROUP:
                    plugins._load(name, version, entry_point)
                else:
                    plugins.foreign.setdefault(name, set()).add(entry_point.group)
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
        if plugin.distribution != OWN_DISTRIBUTION:
            self._guard_observer(module, plugin)
        unmarked = _unmarked_hooks(module)
        if unmarked:
            self._record(plugin.id, f"{' and '.join(unmarked)}() lacks @hookimpl, so umbel does not call it")

    def hooks_of(self, plugin: Plugin) -> list[str]:
        """Names of the hooks that a plugin implements, sorted."""
        module = self.manager.get_plugin(plugin.id)
        return sorted(caller.name for caller in self.manager.get_hookcallers(module) or ()) if module else []

    def registered(self, role: str) -> list[Registration]:
        """Everything registered for a role ("task", "backbone", "balancer" or "recipe"), in the order of
        registration."""
        hook = getattr(self.manager.hook, f"umbel_{role}s")
        registered = []
        for name, _, mapping in self._call_each(hook):
            if not isinstance(mapping, Mapping):
                self._record(name, f"{hook.name} returned {type(mapping).__name__}, not a mapping by name")
                continue
            registered += [Registration(role, str(kind), target, self.found[name]) for kind, target in mapping.items()]
        return registered

    def add_commands(self, cli: click.Group) -> dict[str, str]:
        """Let every plugin add its commands; one that raises is recorded, the others still add theirs.

        A command that is taken, by umbel or by another plugin, is not added, and recorded as an error of the later one.

        Returns:
            The plugin's id by command.
        """
        import click

        owners: dict[str, str] = {}
        for name, (group,), _ in self._call_each(self.manager.hook.umbel_commands, lambda: (click.Group(),)):
            for key, command in group.commands.items():
                if key in cli.commands:
                    self._record(name, f"its command '{key}' is taken by {owners.get(key, 'umbel itself')}; rename it")
                    continue
                cli.add_command(command, key)
                owners[key] = name
        return owners

    def find(self, role: str, name: str, where: str) -> Registration:
        """The one registration of this name; "distribution/name" picks one of several.

        Raises:
            PluginError: if there is none, or more than one; it lists what is installed and from where.
        """
        registered = self.registered(role)
        owner, _, kind = name.rpartition("/")
        matches = [
            o
            for o in registered
            if o.name == kind and (not owner or canonical(owner) == canonical(o.plugin.distribution))
        ]
        if len(matches) == 1:
            return matches[0]
        if matches:
            owners = " and ".join(f"{o.plugin.id} {o.plugin.version}" for o in matches)
            choices = " or ".join(sorted({f"{o.plugin.distribution}/{kind}" for o in matches}))
            raise PluginError(f"{role} '{name}' is offered by {owners}", where=where, hint=f"write {choices}")
        listed = ", ".join(f"{o.name} ({o.plugin.distribution})" for o in registered) or "none"
        close = difflib.get_close_matches(kind, [o.name for o in registered], n=1)
        suggestion = f"did you mean '{close[0]}'? " if close else ""
        broken = "; ".join(f"{p.id} is broken: {p.error}" for p in self.found.values() if p.error)
        blocked = f"; blocked: {', '.join(self.blocked)}" if self.blocked else ""
        foreign = "".join(f"; {name} is made for {', '.join(sorted(of))}" for name, of in self.foreign.items())
        raise PluginError(
            f"unknown {role} '{name}'",
            where=where,
            hint=f"{suggestion}installed: {listed}{'; ' + broken if broken else ''}{blocked}{foreign}",
        )

    def task_class(self, kind: str, where: str) -> type[Task[Any]]:
        """The Task class of a kind."""
        return self.find("task", kind, where).load()

    def backbone_class(self, name: str, where: str) -> type[Backbone]:
        """The Backbone class of a name."""
        return self.find("backbone", name, where).load()

    def balancer_class(self, name: str, where: str) -> type[Balancer]:
        """The Balancer class of a name."""
        return self.balancer(name, where).load()

    def balancer(self, name: str, where: str) -> Registration:
        """The registration of a balancer; "fixed" is there without any plugin."""
        if name == FIXED:
            from umbel.contract.balancer import FixedBalancer

            return Registration("balancer", FIXED, FixedBalancer, Plugin(OWN_DISTRIBUTION, "", "balancers"))
        return self.find("balancer", name, where)

    def _guard_observer(self, module: object, plugin: Plugin) -> None:
        """Have the faults of a plugin's observers name it; those of the other hooks are recorded by `_call_each`."""
        for caller in self.manager.get_hookcallers(module) or ():
            for implementation in caller.get_hookimpls():
                wraps = implementation.hookwrapper or implementation.wrapper
                if implementation.plugin is module and caller.name in OBSERVER_HOOKS and not wraps:
                    guarded = ObserverCall(implementation.function, plugin.id, plugin.distribution, plugin.version)
                    implementation.function = guarded  # type: ignore[misc]

    def _load(self, distribution: str, version: str, entry_point: EntryPoint) -> None:
        plugin = Plugin(distribution, version, entry_point.name)
        refused = {canonical(name) for name in (distribution, entry_point.name, plugin.id)} & self.deny
        allowed = self.allow is None or canonical(distribution) in {OWN_DISTRIBUTION, *self.allow}
        if refused or not allowed:
            self.blocked.append(plugin.id)
            return
        if plugin.id in self.found:
            self._record(plugin.id, f"declares the entry point twice; {entry_point.value} was not loaded")
            return
        try:
            self.register(entry_point.load(), plugin)
        except (Exception, SystemExit) as error:  # a third party's import may raise anything
            reason = error.message if isinstance(error, PluginError) else f"{type(error).__name__}: {error}"
            self.found[plugin.id] = Plugin(distribution, version, entry_point.name, reason)

    def _call_each(
        self, hook: pluggy.HookCaller, arguments: Callable[[], tuple[Any, ...]] = tuple
    ) -> Iterator[tuple[str, tuple[Any, ...], Any]]:
        """Plugin, arguments and result of every implementation that does not raise, each with arguments of its own."""
        for implementation in hook.get_hookimpls():
            given = arguments()
            try:
                result = implementation.function(*given[: len(implementation.argnames)])
            except (Exception, SystemExit) as error:
                self._record(implementation.plugin_name, f"{hook.name} raised {type(error).__name__}: {error}")
                continue
            yield implementation.plugin_name, given, result

    def _record(self, name: str, error: str) -> None:
        known = self.found[name].error
        if error not in known:
            self.found[name] = replace(self.found[name], error=f"{known}; {error}" if known else error)


def _unmarked_hooks(module: object) -> list[str]:
    """Functions named as hooks are that nobody marked: pluggy passes over them in silence."""
    named = [name for name in dir(module) if name.startswith(f"{hooks.PROJECT}_")]
    return [
        name
        for name in named
        if inspect.isroutine(getattr(module, name)) and not hasattr(getattr(module, name), f"{hooks.PROJECT}_impl")
    ]
