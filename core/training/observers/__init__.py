"""Observers: what a run tells people, as default implementations of the observer hooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from umbel.registry.plugins import Plugins


def register_observers(plugins: Plugins, *, quiet: bool = False, json_lines: bool = False) -> None:
    """Register the console, metrics.jsonl, TensorBoard and report observers.

    Args:
        plugins: get them.
        quiet: without the console's.
        json_lines: and one that writes JSON lines to stdout.
    """
    from umbel.registry.registration import OWN_DISTRIBUTION, Plugin
    from umbel.training.observers.console import ConsoleObserver
    from umbel.training.observers.json_lines import JsonLinesObserver
    from umbel.training.observers.jsonl import JsonlObserver
    from umbel.training.observers.report import ReportObserver
    from umbel.training.observers.tensorboard import TensorBoardObserver
    from umbel.version import __version__

    observers: dict[str, object] = {
        "jsonl": JsonlObserver(),
        "tensorboard": TensorBoardObserver(),
        "report": ReportObserver(),
    }
    if not quiet:
        observers["console"] = ConsoleObserver()
    if json_lines:
        observers["json-lines"] = JsonLinesObserver()
    for name, observer in observers.items():
        plugins.register(observer, Plugin(OWN_DISTRIBUTION, __version__, f"observer-{name}"))
