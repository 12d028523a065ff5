"""Lines for people."""

from __future__ import annotations

import click

from umbel.io.text import printable


def say(*lines: object, err: bool = False) -> None:
    """Print each as one line, a line end in a name as an escape; no line of a file name can pass for one of umbel's."""
    for line in lines:
        click.echo(printable(str(line)), err=err)
