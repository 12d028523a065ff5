"""The command line: one module a verb, imported only when the verb runs."""

from __future__ import annotations


def main() -> None:
    """Entry point of the console script."""
