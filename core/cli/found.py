"""The plugins of this environment, found once a command: when the list of commands is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from umbel.registry.plugins import Plugins


def found_plugins() -> Plugins:
    """Those that the command line was built with; a command that is invoked without it finds its own."""
    from umbel.registry.plugins import Plugins

    root = click.get_current_context().find_root()
    if not isinstance(root.obj, Plugins):
        root.obj = Plugins.discover()
    return root.obj
