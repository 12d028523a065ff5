"""Observers: what a run tells people, as default implementations of the observer hooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from umbel.plugins import Plugins


def register_observers(plugins: Plugins) -> None:
    """Register the console, metrics.jsonl and TensorBoard observers."""
    import umbel
    from umbel.observers.console import ConsoleObserver
    from umbel.observers.jsonl import JsonlObserver
    from umbel.observers.tensorboard import TensorBoardObserver
    from umbel.plugins import OWN_DISTRIBUTION, Plugin

    observers = {"console": ConsoleObserver(), "jsonl": JsonlObserver(), "tensorboard": TensorBoardObserver()}
    for name, observer in observers.items():
        plugins.register(observer, Plugin(OWN_DISTRIBUTION, umbel.__version__, f"observer-{name}"))
