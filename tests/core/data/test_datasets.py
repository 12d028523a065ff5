"""Dividing a data set that has no validation split of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toys import BrightDataset, BrightOptions, BrightTask

from umbel import DataError, Sample, skip_invalid
from umbel.contract.task_config import TaskConfig
from umbel.contract.types import SampleKey
from umbel.data.datasets import held_out, load_datasets, open_split
from umbel.data.training_view import TrainingView

SHARES = st.floats(0.001, 0.999)


class NoValidation(BrightTask):
    """Has training data only."""

    def dataset(self, split: str) -> BrightDataset:
        if split != "train":
            raise DataError("there is no validation data")
        return BrightDataset("the set", self.options, self.config.input_size)


def unsplit(count: int, holdout: float, name: str = "a") -> NoValidation:
    return NoValidation(name, TaskConfig("bright", 2, (16, 8), holdout=holdout), BrightOptions(count))


def ids(task: BrightTask, split: str) -> list[str]:
    dataset = load_datasets({task.name: task}, split)[task.name]
    return [dataset[index].id for index in range(len(dataset))]  # type: ignore[arg-type]


@given(st.integers(2, 300), SHARES)
def test_every_sample_is_in_one_part_and_none_is_empty(length: int, share: float) -> None:
    held = held_out(length, share)
    assert held == sorted(set(held)) == held_out(length, share)
    assert set(held) < set(range(length))
    assert len(held) == min(max(1, round(length * share)), length - 1)


@given(st.lists(st.sampled_from("abcdefg"), min_size=2, max_size=120), SHARES)
def test_every_class_keeps_a_sample_to_train_on(strata: list[str], share: float) -> None:
    held = held_out(len(strata), share, strata)
    assert held == sorted(set(held))
    assert 1 <= len(held) < len(strata)
    if len(set(strata)) < len(strata):  # else there is one of each, and one of them has to go
        rest = set(range(len(strata))) - set(held)
        assert {strata[index] for index in rest} == set(strata)


@given(st.integers(2, 9), st.integers(5, 60))
def test_classes_of_one_size_give_alike(classes: int, each: int) -> None:
    strata = [str(index % classes) for index in range(classes * each)]
    counts = Counter(strata[index] for index in held_out(len(strata), 0.2, strata))
    assert len(counts) == classes
    assert max(counts.values()) - min(counts.values()) <= 1
    assert sum(counts.values()) == round(0.2 * classes * each)


def test_the_choice_is_spread_over_the_whole_set() -> None:
    held = np.array(held_out(10_000, 0.2))
    tenths = np.bincount(held * 10 // 10_000, minlength=10)
    assert tenths.sum() == 2000
    assert tenths.min() > 150
    assert (np.diff(held) == 1).any(), "not every fifth"


def test_the_choice_stays_what_it_was() -> None:
    """Runs of another version validate on the same images."""
    assert held_out(20, 0.2) == [8, 15, 16, 19]
    assert held_out(8, 0.25, list("aaaabbbb")) == [0, 5]


def test_parts_of_a_task_without_validation_data() -> None:
    train, val = (ids(unsplit(10, 0.3), split) for split in ("train", "val"))
    assert len(val) == 3
    assert sorted(train + val) == sorted(f"bright-{index}" for index in range(10))


def test_tasks_with_the_same_list_hold_out_the_same() -> None:
    assert ids(unsplit(10, 0.3, "a"), "val") == ids(unsplit(10, 0.3, "b"), "val")


def test_without_the_key_the_own_split_validates() -> None:
    assert len(ids(BrightTask("a", TaskConfig("bright", 2, (16, 8)), BrightOptions(4)), "val")) == 4
    with pytest.raises(DataError, match="no validation data"):
        load_datasets({"a": unsplit(4, 0.0)}, "val")


def test_batches_are_of_the_part() -> None:
    task = unsplit(6, 0.5)
    dataset = load_datasets({"a": task}, "train")["a"]
    view = TrainingView(task, dataset, seed=0)
    read = {view.sample(SampleKey(0, index)).id for index in range(3)}
    assert read == set(ids(task, "train"))
    with pytest.raises(IndexError):
        dataset[3]


def test_one_sample_cannot_be_divided() -> None:
    for split in ("train", "val"):
        with pytest.raises(DataError, match=r"tasks\.a\.holdout: cannot divide 1 sample"):
            load_datasets({"a": unsplit(1, 0.5)}, split)


def test_an_empty_set_is_called_empty() -> None:
    with pytest.raises(DataError, match="split 'val' is empty"):
        load_datasets({"a": unsplit(0, 0.5)}, "val")


@pytest.mark.parametrize("share", [1.0, -0.1, 1.5, float("nan")])
def test_shares_that_leave_nothing_are_refused(share: float) -> None:
    with pytest.raises(ValueError, match="expected a share of 0 or more and less than 1"):
        unsplit(4, share)


class WrongStrata(NoValidation):
    def strata(self, dataset: object) -> Sequence[str]:
        return ("one",)


def test_strata_of_another_number_are_a_fault_of_the_task() -> None:
    task = WrongStrata("a", TaskConfig("bright", 2, (16, 8), holdout=0.5), BrightOptions(4))
    with pytest.raises(DataError, match=r"strata\(\) names 1 for 4 samples"):
        open_split(task, "train")


class MissingFile(NoValidation):
    """Its last file is missing, which the data set says when it is opened."""

    def dataset(self, split: str) -> BrightDataset:
        with skip_invalid(of_sample=True):
            raise DataError("no such file")
        return super().dataset(split)


def test_a_missing_file_stops_training_data_unless_deferred_and_validation_data_once_read() -> None:
    task = MissingFile("a", TaskConfig("bright", 2, (16, 8), holdout=0.5), BrightOptions(4))
    with pytest.raises(DataError, match="no such file"):
        load_datasets({"a": task}, "train")
    sample = load_datasets({"a": task}, "val")["a"][0]
    assert isinstance(sample, Sample)
    assert len(load_datasets({"a": task}, "train", defer=True)["a"]) == 2  # type: ignore[arg-type]
