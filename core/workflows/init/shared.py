"""Tasks of a new recipe that label the same images: they become the tasks of one source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from umbel.contract.types import Size
from umbel.workflows.init.detect import Start, entry

AUGMENT = {"scale": [0.75, 1.5], "rotation": 5}

INHERITED = ("batch_size", "input_size")


@dataclass(frozen=True)
class NewSource:
    """A source of a new recipe.

    Args:
        name: not that of a task.
        tasks: their names.
        batch_size: the smallest of the tasks'.
        input_size: the largest of the tasks'.
    """

    name: str
    tasks: tuple[str, ...]
    batch_size: int
    input_size: Size

    def entry(self) -> dict[str, Any]:
        """The source as a recipe has it."""
        return {"batch_size": self.batch_size, "input_size": list(self.input_size), "augment": AUGMENT}


def find_sources(starts: Sequence[Start]) -> list[NewSource]:
    """Groups of tasks whose training images have files in common, and which hold out the same share."""
    groups: list[list[Start]] = []
    for start in starts:
        fitting = [group for group in groups if any(_share(start, other) for other in group)]
        groups = [group for group in groups if group not in fitting]
        groups.append([*(other for group in fitting for other in group), start])
    taken = {start.name for start in starts}
    sources = []
    for group in groups:
        if len(group) < 2:
            continue
        numbered = (f"images_{number}" for number in range(2, len(starts) + 3))
        name = next(name for name in ("images", *numbered) if name not in taken)
        taken.add(name)
        sources.append(
            NewSource(
                name,
                tuple(start.name for start in group),
                min(entry(start)["batch_size"] for start in group),
                max((start.input_size for start in group), key=lambda size: size[0] * size[1]),
            )
        )
    return sources


def described(start: Start, sources: Sequence[NewSource]) -> Mapping[str, Any]:
    """A task as the recipe has it, what its source says left out."""
    own = entry(start)
    source = next((source.name for source in sources if start.name in source.tasks), None)
    if source is None:
        return own
    return {"kind": own["kind"], "source": source} | {k: v for k, v in own.items() if k not in ("kind", *INHERITED)}


def _share(one: Start, other: Start) -> bool:
    return not one.files.isdisjoint(other.files) and one.detected.holdout == other.detected.holdout
