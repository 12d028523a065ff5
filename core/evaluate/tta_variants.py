"""Which variants of test-time augmentation are compared, and a task for each."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from umbel.contract.task import Task


def decode_groups(tasks: Sequence[Task[Any]]) -> list[int]:
    """A number for each variant of a task, the same for those that differ in `merge_options` and views only.

    Members of a group decode and restore a view to the same prediction.
    """
    known: list[dict[str, Any]] = []
    groups = []
    for task in tasks:
        options = {k: v for k, v in dataclasses.asdict(task.options).items() if k not in task.merge_options}
        if options not in known:
            known.append(options)
        groups.append(known.index(options))
    return groups
