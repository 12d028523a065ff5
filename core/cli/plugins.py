"""umbel plugins."""

from __future__ import annotations

import json

import click


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def plugins(as_json: bool) -> None:
    """List task kinds and backbones, the distribution each comes from, and plugins that do not load."""
    from umbel.cli.tables import text_table
    from umbel.plugins import Plugins

    found = Plugins.discover()
    offers = [
        {"role": o.role, "name": o.name, "distribution": o.plugin.distribution, "version": o.plugin.version}
        for role in ("task", "backbone")
        for o in found.offers(role)
    ]
    broken = [{"plugin": p.id, "version": p.version, "error": p.error} for p in found.found.values() if p.error]
    if as_json:
        foreign = {name: sorted(groups) for name, groups in found.foreign.items()}
        click.echo(
            json.dumps({"offers": offers, "broken": broken, "blocked": found.blocked, "other_api": foreign}, indent=1)
        )
    else:
        rows = [(o["role"], o["name"], o["distribution"], o["version"]) for o in offers]
        click.echo(text_table(("role", "name", "distribution", "version"), rows))
        for plugin in broken:
            click.echo(f"broken: {plugin['plugin']} {plugin['version']}: {plugin['error']}", err=True)
        for name in found.blocked:
            click.echo(f"blocked: {name}", err=True)
        for name, groups in found.foreign.items():
            click.echo(f"not loaded: {name} offers {', '.join(sorted(groups))}; this umbel loads umbel.v1", err=True)
    if broken:
        raise click.exceptions.Exit(1)
