"""Where a key of a recipe belongs, for people who write it without its section or as an option of the command line."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterator
from typing import Any

from umbel.config.schema import Recipe
from umbel.contract.task_config import TaskConfig

NAME = "NAME"  # stands for the name of a task


def suggest(word: str, tasks: tuple[str, ...] = ()) -> str:
    """The full key that a word is the last part of, or nearly is: "steps" gives "train.steps"; "" for none.

    Args:
        word: a key without its section, with hyphens or underscores.
        tasks: names of the tasks, the first of which is taken for an example.
    """
    leaf = word.lstrip("-").replace("-", "_").rpartition(".")[2].lower()
    keys = {key.rpartition(".")[2]: key for key in reversed(list(recipe_keys()))}  # of equal names the first counts
    close = [leaf] if leaf in keys else difflib.get_close_matches(leaf, keys, n=1, cutoff=0.8)
    return keys[close[0]].replace(NAME, tasks[0] if tasks else NAME) if close else ""


def recipe_keys() -> Iterator[str]:
    """Dotted keys of umbel's own schema, those of a task under `tasks.NAME`."""
    recipe = Recipe()
    for section in ("train", "optim", "backbone", "growth"):
        yield from _keys(getattr(recipe, section), f"{section}.")
    for field in dataclasses.fields(TaskConfig):
        yield f"tasks.{NAME}.{field.name}"


def _keys(section: Any, prefix: str) -> Iterator[str]:
    nested = []
    for field in dataclasses.fields(section):
        value = getattr(section, field.name)
        if dataclasses.is_dataclass(value):
            nested.append((value, f"{prefix}{field.name}."))
        elif field.name not in ("name", "mode", "options"):
            yield f"{prefix}{field.name}"
    for value, inner in nested:
        yield from _keys(value, inner)
