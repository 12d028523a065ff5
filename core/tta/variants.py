"""Which variants of test-time augmentation are compared, and a task for each."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from umbel.calls.make import remake
from umbel.config import TtaConfig, TtaVariant
from umbel.recipe import change_options
from umbel.task import Task

ORIGINAL = "Original"


def default_rows(tta: TtaConfig) -> list[TtaVariant]:
    """One view, the scales or sizes of `tta` without its flip, and with it; what repeats the row before is left out."""
    frames = len(tta.sizes or tta.scales)
    scaled = "MS" if frames > 1 else "Rescaled"
    unflipped = dataclasses.replace(tta, hflip=False)
    rows = [TtaVariant(ORIGINAL)]
    if unflipped != TtaConfig():
        rows.append(TtaVariant(scaled, unflipped))
    if tta.hflip:
        rows.append(TtaVariant(f"{scaled}+Flip" if len(rows) > 1 else "Flip", tta))
    return rows


def with_variant(task: Task[Any], variant: TtaVariant) -> Task[Any]:
    """The task as a recipe with this variant's views and options would build it; ConfigError names a wrong option."""
    where = f"tasks.{task.name}.tta_variants: {variant.name}"
    options = change_options(task.options, variant.options, where)
    config = dataclasses.replace(task.config, tta=variant.tta, options=options)
    return remake(task, task.name, config, options)


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
