"""Opening the splits of a task, and dividing a data set that has none of its own: `holdout` in the recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
from torch.utils.data import Dataset, Subset

from umbel.contract.defaults import strata_of
from umbel.contract.errors import DataError, of_task
from umbel.contract.randomness import keyed_generator
from umbel.contract.task import Task
from umbel.contract.types import Sample
from umbel.io.error_collection import defer_errors
from umbel.io.listing import collect_passed_over, say_passed_over


class HoldoutSubset(Subset[Sample]):
    """What `holdout` makes of a data set; its type tells it from a Subset that a task itself returns."""


def open_split(task: Task[Any], split: str) -> Dataset[Sample]:
    """A split of a task's data: its own or, with `holdout`, a part of what it trains on.

    A sample at fault stops the validation part only once it is read: it may well be one that is trained on.

    Args:
        task: the task.
        split: "train" or "val".

    Raises:
        DataError: the data cannot be read, or is too little to divide.
    """
    divided = task.config.holdout and split in ("train", "val")
    with collect_passed_over() as others:
        if not divided:
            opened = task.dataset(split)
        else:
            with defer_errors() if split == "val" else nullcontext():
                whole = task.dataset("train")
    say_passed_over(f"tasks.{task.name}", others)
    if not divided:
        return opened
    return divide(task, whole)[split] if len(whole) else whole  # type: ignore[arg-type]  # map-style: it has a length


def divide(task: Task[Any], whole: Dataset[Sample]) -> dict[str, Dataset[Sample]]:
    """The parts "train" and "val" of a data set by the task's `holdout`.

    Raises:
        DataError: it has a single sample, or the task does not name one stratum a sample.
    """
    length = len(whole)  # type: ignore[arg-type]
    if length < 2:
        raise DataError(
            f"cannot divide {length} sample into training and validation",
            kind="empty-split",
            where=f"tasks.{task.name}.holdout",
            hint="add images",
        )
    strata = strata_of(task, whole)
    if len(strata) not in (0, length):
        raise DataError(f"strata() names {len(strata)} for {length} samples", where=f"tasks.{task.name}", kind="defect")
    held = held_out(length, task.config.holdout, strata)
    rest = np.setdiff1d(np.arange(length), held, assume_unique=True)
    return {"train": HoldoutSubset(whole, rest.tolist()), "val": HoldoutSubset(whole, held)}


def held_out(length: int, share: float, strata: Sequence[str] = ()) -> list[int]:
    """The samples that validate, ascending: a function of these arguments alone, whatever the task and the run's seed.

    Tasks that label the same list of images so hold out the same ones, which the shared backbone then never trains on.
    Strata of one size give alike, to within a sample, and every one keeps a sample to train on.

    Args:
        length: number of samples, two or more.
        share: to hold out, between 0 and 1; one sample at least is, and one is not.
        strata: the stratum of every sample; empty where there are none.
    """
    codes = np.unique(np.asarray(strata), return_inverse=True)[1] if len(strata) else np.zeros(length, np.int64)
    if codes.max() + 1 == length:  # one of each: nothing to spread
        codes = np.zeros(length, np.int64)
    order = np.lexsort((keyed_generator("holdout", length).permutation(length), codes))
    first = np.r_[True, np.diff(codes[order]) != 0]
    spare = order[~first]
    count = min(max(1, round(length * share)), len(spare))
    steps = np.arange(len(spare) + 1) * count // len(spare)  # rises by one at each of `count` evenly spaced places
    return sorted(spare[np.diff(steps) == 1].tolist())


def dataset_length(dataset: Dataset[Sample]) -> int:
    """Number of samples of a map-style data set."""
    return len(dataset)  # type: ignore[arg-type]


def load_datasets(tasks: Mapping[str, Task[Any]], split: str, *, defer: bool = False) -> dict[str, Dataset[Sample]]:
    """The data sets of a split, one a task; an empty one is an error.

    Args:
        tasks: by name.
        split: "train" or "val".
        defer: a fault of a single sample is raised when the sample is read, not now.
    """
    with defer_errors() if defer else nullcontext():
        datasets = {}
        for name, task in tasks.items():
            with of_task(name):
                datasets[name] = open_split(task, split)
    for name, dataset in datasets.items():
        if dataset_length(dataset) == 0:
            raise DataError(f"split '{split}' is empty", where=f"tasks.{name}", hint="check its paths and lists")
    return datasets
