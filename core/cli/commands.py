"""umbel's own commands: a module each, imported when the command is used, so that listing them is quick."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

COMMANDS = {
    "add-task": "Add tasks to a trained RUN, and train them.",
    "check": "Push one batch of every task through, or read all data.",
    "compare": "Train tasks together and alone, and say which gain.",
    "completion": "Print what makes a SHELL complete commands and options.",
    "drop-task": "Write a trained RUN without some of its tasks.",
    "evaluate": "Score a trained RUN on its validation data.",
    "export": "Write a trained RUN as one graph, or for a model hub.",
    "extract": "Write a smaller bundle with some tasks of a RUN.",
    "init": "Write a recipe for your own images and labels.",
    "new-task": "Write a plugin with a task that trains as it stands.",
    "plan": "Predict memory and traffic of RECIPE on many devices.",
    "plugins": "List what is installed, and what does not load.",
    "predict": "Predict images, folders of images or videos.",
    "report": "Build the report of a RUN again, or compare runs.",
    "show": "Print RECIPE as it will be used.",
    "train": "Train RECIPE, evaluate it, and print the scores.",
    "tta": "Compare variants of test-time augmentation.",
}

HINT = (
    "Plugins bring commands too: `umbel plugins` lists those that are installed, "
    "`pip install ./plugins/NAME` adds one of the repository's."
)


class Commands(click.Group):
    """umbel's commands and those of plugins; one that is not there may be of a plugin that is not installed."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.NoSuchOption:
            raise
        except click.UsageError as error:
            raise click.UsageError(f"{error.format_message()} {HINT}", ctx) from None


class LazyCommand(click.Command):
    """Stands in the list for the command `umbel.cli.NAME:NAME`, which is imported when it is called.

    Args:
        name: as it is typed.
        line: what the list says of it.
    """

    def __init__(self, name: str, line: str) -> None:
        super().__init__(name, short_help=line)
        self.attribute = name.replace("-", "_")

    def load(self) -> click.Command:
        """The command itself."""
        command: click.Command = getattr(import_module(f"umbel.cli.{self.attribute}"), self.attribute)
        return command

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """That of the command itself, which click goes on with."""
        return self.load().make_context(info_name, args, parent, **extra)
