"""Where the truth of a score comes from: the challenge's folders, or a recipe's data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from umbel import DataError, Recipe, Task, literal, open_tasks

_LAYOUT = {  # what must be there for a section; kind and format of the task that reads it
    "seg": ("seg/label/{split}", "segmentation", "challenge"),
    "cls": ("cls/{split}.txt", "classification", "list"),
    "dec": ("dec/{split}.json", "detection", "challenge"),
}


def open_truth(truth: str, split: str) -> tuple[Recipe, dict[str, Task[Any]]]:
    """The tasks of a run's folder, of a recipe, or of a folder laid out as the challenge's.

    Tasks of the layout are called seg, cls and dec, as far as they are there, and their score is the mean.

    Raises:
        DataError: the folder is neither.
    """
    folder = Path(truth)
    if not folder.is_dir() or (folder / "recipe.yaml").is_file():
        return open_tasks(truth)
    tasks = {
        section: {"kind": kind, "input_size": [32, 32], "options": {"format": format, "root": literal(truth)}}
        for section, (wanted, kind, format) in _LAYOUT.items()
        if (folder / wanted.format(split=split)).exists()
    }
    if not tasks:
        looked = ", ".join(wanted.format(split=split) for wanted, *_ in _LAYOUT.values())
        raise DataError("is neither a run nor the challenge's data", where=truth, hint=f"looked for {looked}")
    return open_tasks({"backbone": {"options": {"model": "never built"}}, "tasks": tasks})
