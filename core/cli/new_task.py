"""umbel new-task."""

from __future__ import annotations

from pathlib import Path

import click

from umbel.cli.found import found_plugins
from umbel.io.say import say
from umbel.workflows.new_task.write import KINDS


@click.command("new-task")
@click.argument("name")
@click.option(
    "--kind",
    type=click.Choice(KINDS),
    default="image",
    show_default=True,
    help="What it predicts: one value of an image, one of every pixel, or boxes.",
)
@click.option("--out", type=click.Path(path_type=Path), default=Path("."), help="Folder that gets umbel-NAME.")
def new_task(name: str, kind: str, out: Path) -> None:
    """Write a plugin distribution umbel-NAME with a task that trains on the demo's data as it stands.

    It passes umbel's contract before you change a line: replace data, head, loss and metric one after another.
    """
    from umbel.workflows.new_task.write import write_plugin

    for path in write_plugin(name, kind, out):
        say(path)
    taken = [o.plugin.distribution for o in found_plugins().registered("task") if o.name == name]
    if taken:
        say(f"note: {taken[0]} offers a task of that name; recipes then write umbel-{name}/{name}", err=True)
    folder = out / f"umbel-{name.replace('_', '-')}"
    install = f"pip install -e '{folder}[test]'"
    say(f"next: {install} && pytest {folder} && umbel train {folder}/recipe.yaml", err=True)
