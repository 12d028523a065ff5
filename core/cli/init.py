"""umbel init."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from umbel.cli.found import found_plugins
from umbel.io.say import say
from umbel.io.text import printable

if TYPE_CHECKING:
    from umbel.registry.plugins import Plugins
    from umbel.workflows.init.detect import Start


@click.command()
@click.option(
    "--task",
    "given",
    multiple=True,
    metavar="NAME=[KIND:]FOLDER",
    help="A task and the folder of its data; may be given again. Without any, init asks.",
)
@click.option("--out", type=click.Path(path_type=Path), default=Path("recipe.yaml"), show_default=True)
@click.option(
    "--model", default="tf_efficientnet_lite0", show_default=True, help="Backbone: any timm model with levels."
)
@click.option(
    "--weights",
    help="File or timm tag of the backbone's weights, or 'none'; default: MODEL.in1k, fetched when first used.",
)
@click.option("--steps", type=click.IntRange(min=1), default=240, show_default=True, help="Steps of the training.")
@click.option("--pictures", type=click.Path(path_type=Path), metavar="DIR", help="Draw training samples, DIR/TASK.jpg.")
@click.option("--yes", is_flag=True, help="Ask nothing; replace --out if it exists.")
def init(
    *,
    given: tuple[str, ...],
    out: Path,
    model: str,
    weights: str | None,
    steps: int,
    pictures: Path | None,
    yes: bool,
) -> None:
    """Write a recipe for your own folders of images and labels, whose layouts are recognised."""
    from umbel.contract.errors import ConfigError
    from umbel.io.files import write_bytes
    from umbel.io.written import write_new
    from umbel.workflows.init.detect import parse_task, start_task
    from umbel.workflows.init.recipe_text import recipe_text

    found = found_plugins()
    asking = not yes and _is_terminal()
    shown = printable(str(out))
    agreed = yes or (out.exists() and asking and click.confirm(f"{shown} exists. Replace it?", err=True))
    if os.path.lexists(out) and not agreed:
        raise ConfigError("exists already", where=str(out), hint="give --yes to replace it, or another --out")
    starts: dict[str, Start] = {}
    for text in given:
        name, kind, folder = parse_task(text, found)
        _add(starts, start_task(name, folder, kind, found))
    if not given and asking:
        _ask(starts, found)
    if not starts:
        raise ConfigError("no task is given", where="--task", hint="for example --task road=data/road")
    chosen = None if weights == "none" else weights or f"{model}.in1k"
    with write_new(out, "new recipe", replace=agreed):
        write_bytes(out, recipe_text(list(starts.values()), model, chosen, steps).encode())
    say(out)
    if pictures is not None:
        from umbel.cli.check import draw_samples
        from umbel.config.load import load_recipe

        draw_samples(load_recipe(str(out), (), found).typed, found, pictures)
    say(f"next: umbel check {out}; umbel train {out}", err=True)


def _add(starts: dict[str, Start], start: Start) -> None:
    from umbel.config.names import check_task_name
    from umbel.contract.errors import ConfigError

    check_task_name(start.name, "--task")
    if start.name in starts:
        raise ConfigError(f"there are two tasks '{start.name}'", where="--task", hint="give them names: NAME=FOLDER")
    starts[start.name] = start
    counts = f"{start.counts['train']} training, {start.counts['val']} validation images"
    held = start.detected.holdout
    said = f"; no validation split: {100 * held:g} % held out (holdout: {held:g})" if held else ""
    found = f"{start.kind}, layout {start.detected.layout}, {counts}, {len(start.classes)} classes"
    say(f"{start.name}: {found}{said}", err=True)


def _ask(starts: dict[str, Start], found: Plugins) -> None:
    from umbel.contract.errors import UmbelError
    from umbel.workflows.init.detect import start_task, task_name

    while True:
        text = click.prompt("Folder of a data set (empty: no more)", default="", show_default=False, err=True)
        if not text:
            return
        try:
            name = click.prompt("Name of the task", default=task_name(Path(text)), err=True)
            _add(starts, start_task(name, Path(text).expanduser(), None, found))
        except UmbelError as error:
            say(error, err=True)


def _is_terminal() -> bool:
    return sys.stdin.isatty()
