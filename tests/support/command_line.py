"""The command line, called in this process."""

from __future__ import annotations

from umbel.cli import main


def exit_code(*arguments: str) -> int:
    """Run `umbel` with these arguments; its exit code."""
    try:
        main(list(arguments))
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0
