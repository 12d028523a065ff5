"""umbel plugins."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from umbel.cli.found import found_plugins
from umbel.io.say import say

if TYPE_CHECKING:
    from umbel.registry.plugins import Plugins


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON: everything of every plugin.")
def plugins(as_json: bool) -> None:
    """List what is installed and the distribution each comes from, and plugins that do not load.

    UMBEL_PLUGINS=a,b loads only these distributions, UMBEL_PLUGINS= none but umbel's own, UMBEL_DISABLE=c leaves out a
    distribution or an entry point; what is left out is not imported. Exit code 1 if a plugin is broken.
    """
    from umbel.io.text import text_table

    found = found_plugins()
    report = _report(found)
    broken = [plugin for plugin in report["plugins"] if plugin["error"]]
    if as_json:
        listed = [{"plugin": p["id"], "version": p["version"], "error": p["error"]} for p in broken]
        click.echo(json.dumps(report | {"broken": listed}, indent=1))
    else:
        rows = [(o["role"], o["name"], o["distribution"], o["version"]) for o in report["offers"]]
        click.echo(text_table(("role", "name", "distribution", "version"), rows))
        for plugin in broken:
            reason = " ".join(plugin["error"].split())
            say(f"broken: {plugin['id']} {plugin['version']}: {reason}", err=True)
        for name in found.blocked:
            say(f"blocked: {name}", err=True)
        for name, message in report["other_api_messages"].items():
            say(f"not loaded: {name} {message}", err=True)
    if broken:
        raise click.exceptions.Exit(1)


def _report(found: Plugins) -> dict[str, Any]:
    """Everything about the plugins of this environment, as JSON types."""
    from umbel.contract.hooks import API_VERSION, ENTRY_POINT_GROUP
    from umbel.registry.registration import ROLES

    root = click.get_current_context().find_root().command
    own = {
        name: command
        for name, command in getattr(root, "commands", {}).items()
        if getattr(command.callback, "__module__", "").startswith("umbel.cli.")
    }
    registered = [
        {"role": o.role, "name": o.name, "distribution": o.plugin.distribution, "version": o.plugin.version}
        for role in ROLES
        for o in found.registered(role)
    ]
    for command_name, owner in found.add_commands(click.Group(commands=own)).items():
        plugin = found.found[owner]
        registered.append(
            {"role": "verb", "name": command_name, "distribution": plugin.distribution, "version": plugin.version}
        )
    described = [
        {
            "id": plugin.id,
            "distribution": plugin.distribution,
            "version": plugin.version,
            "entry_point": plugin.entry_point,
            "hooks": found.hooks_of(plugin),
            "error": plugin.error,
        }
        for plugin in found.found.values()
    ]
    return {
        "api": API_VERSION,
        "offers": registered,
        "plugins": described,
        "blocked": found.blocked,
        "allow": None if found.allow is None else sorted(found.allow),
        "deny": sorted(found.deny),
        "other_api": {name: sorted(groups) for name, groups in found.foreign.items()},
        "other_api_messages": {
            name: f"offers {', '.join(sorted(groups))}; this umbel loads {ENTRY_POINT_GROUP}: "
            f"{_advice(groups, API_VERSION)}"
            for name, groups in found.foreign.items()
        },
    }


def _advice(groups: set[str], own: int) -> str:
    newest = max(int(group.rpartition("v")[2]) for group in groups)
    return "upgrade umbel, or install an older release of it" if newest > own else "install a newer release of it"
