"""Classes that the training data does not show: reported before the first step, for they are never learnt."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from typing import Any

from torch.utils.data import Dataset

from umbel.contract.defaults import classes_of, classes_shown_in
from umbel.contract.errors import UmbelError
from umbel.contract.randomness import keyed_generator
from umbel.contract.task import Task
from umbel.contract.types import Sample
from umbel.data.datasets import HoldoutSubset, dataset_length

SECONDS = 2.0  # for all tasks together

FEWEST = 50  # samples that say something about a data set of more

LISTED = 8  # classes in a warning

log = logging.getLogger(__name__)


def warn_of_absent_classes(tasks: Mapping[str, Task[Any]], datasets: Mapping[str, Dataset[Sample]]) -> None:
    """One warning a task of which some class is in no training sample, or in none of those that time allows to look at.

    Args:
        tasks: by name.
        datasets: their training data by name.
    """
    for name, dataset in datasets.items():
        absent, looked = absent_classes(tasks[name], dataset, SECONDS / len(datasets))
        if not absent:
            continue
        length = dataset_length(dataset)
        listed = ", ".join(map(repr, absent[:LISTED])) + (
            f" and {len(absent) - LISTED} more" if absent[LISTED:] else ""
        )
        which = f"none of the {length:,} training samples shows"
        if looked < length:
            which = f"none of {looked:,} training samples looked at, of {length:,}, shows"
        log.warning("tasks.%s: %s %s: what is not shown is not learnt; see umbel check --data", name, which, listed)


def absent_classes(task: Task[Any], dataset: Dataset[Sample], seconds: float) -> tuple[list[str], int]:
    """Classes that no sample shows, in the task's order, and how many samples were looked at.

    No class is absent where the task does not tell, or where time allows too few samples to say so. The order is random
    but the same every time; looking ends with the last class.
    """
    missing = dict.fromkeys(classes_of(task))
    ended, looked = time.monotonic() + seconds, 0
    for shown in _shown(task, dataset) if missing else ():
        if shown is None:
            return [], 0
        looked += 1
        for name in shown:
            missing.pop(name, None)
        if not missing or time.monotonic() > ended:
            break
    enough = looked >= min(FEWEST, dataset_length(dataset))
    return (list(missing) if looked and enough else []), looked


def _shown(task: Task[Any], dataset: Dataset[Sample]) -> Iterator[frozenset[str] | None]:
    """Of every sample, in a random order; those that cannot be read show nothing, and are named when they are read."""
    indices = dataset.indices if isinstance(dataset, HoldoutSubset) else range(dataset_length(dataset))
    whole = dataset.dataset if isinstance(dataset, HoldoutSubset) else dataset
    for position in keyed_generator("absent classes", len(indices)).permutation(len(indices)).tolist():
        try:
            shown = classes_shown_in(task, whole, indices[position])
        except UmbelError:
            shown = ()
        yield None if shown is None else frozenset(shown)
