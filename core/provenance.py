"""Which plugins a run was made with: name, version, file and its SHA-256."""

from __future__ import annotations

import hashlib
import inspect
from pathlib import Path
from typing import Any

from umbel.plugins import Plugins


def plugin_records(plugins: Plugins) -> list[dict[str, Any]]:
    """One entry a plugin, blocked and broken ones too; JSON types."""
    records: list[dict[str, Any]] = []
    for id, plugin in plugins.found.items():
        file = _file_of(plugins.manager.get_plugin(id))
        records.append(
            {
                "plugin": id,
                "version": plugin.version,
                "file": None if file is None else str(file),
                "sha256": None if file is None else hashlib.sha256(file.read_bytes()).hexdigest(),
                "error": plugin.error or None,
            }
        )
    return records + [{"plugin": id, "blocked": True} for id in plugins.blocked]


def _file_of(plugin: object) -> Path | None:
    if plugin is None:
        return None
    try:
        file = Path(inspect.getfile(plugin if inspect.ismodule(plugin) else type(plugin)))
    except (TypeError, OSError):  # made at run time, or built in
        return None
    return file if file.is_file() else None
