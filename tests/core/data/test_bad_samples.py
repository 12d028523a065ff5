"""A bad training sample gives way to another: keyed, counted, within a budget, and the same after a resume."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.utils.data import Dataset
from toys import BrightDataset, BrightOptions, BrightTask

from umbel.contract.errors import DataError
from umbel.contract.task_config import TaskConfig
from umbel.contract.types import Batch, Sample, SampleKey
from umbel.data.bad_samples import CorruptSample, CorruptSamples, substitute_keys
from umbel.data.datasets import load_datasets
from umbel.data.loader import CompositeLoader

BAD = (2, 5)


class HolesDataset(BrightDataset):
    def __getitem__(self, index: int) -> Sample:
        if index in BAD:
            raise DataError("is truncated", where=f"{index}.jpg")
        return super().__getitem__(index)


class Holes(BrightTask):
    def dataset(self, split: str) -> Dataset[Sample]:
        return HolesDataset(f"{self.name}-{split}", self.options, self.config.input_size)


def load(
    start: int, stop: int, *, workers: int = 0, bad: CorruptSamples | None = None, count: int = 9, batch: int = 4
) -> list[Batch]:
    tasks: dict[str, Any] = {"a": Holes("a", TaskConfig("bright", batch, (16, 8), workers), BrightOptions(count))}
    loader = CompositeLoader(tasks, load_datasets(tasks, "train"), seed=3, start=start, stop=stop, bad_samples=bad)
    return [batches["a"] for batches in loader]


def within(budget: float, count: int = 9) -> CorruptSamples:
    return CorruptSamples.within(budget, {"a": count})


def same(left: list[Batch], right: list[Batch]) -> bool:
    return len(left) == len(right) and all(
        a.ids == b.ids and torch.equal(a.images, b.images) for a, b in zip(left, right, strict=True)
    )


def test_by_default_the_first_stops() -> None:
    with pytest.raises(DataError, match=r"(2|5)\.jpg: is truncated"):
        load(0, 6)


def test_others_take_their_place_and_the_rest_is_as_it_was() -> None:
    bad = within(2)
    found = load(0, 9, bad=bad)
    assert sorted(bad.found) == [("a", 2), ("a", 5)]
    assert bad.count("a") == 2
    assert all(len(batch.ids) == 4 for batch in found)
    seen = {id for batch in found for id in batch.ids}
    assert not {f"bright-{index}" for index in BAD} & seen
    assert len(seen) == 7


@pytest.mark.parametrize("workers", [1, 2])
def test_substitutes_do_not_depend_on_who_loads(workers: int) -> None:
    here, there = within(2), within(2)
    assert same(load(0, 6, workers=workers, bad=there), load(0, 6, bad=here))
    assert there.found == here.found


def test_substitutes_are_the_same_after_a_resume() -> None:
    straight = within(2)
    expected = load(0, 9, bad=straight)
    for stop in range(1, 9):
        first = within(2)
        assert same(load(0, stop, bad=first), expected[:stop])
        resumed = within(2)
        resumed.load_state_dict(first.state_dict())
        assert same(load(stop, 9, bad=resumed), expected[stop:])
        assert resumed.found == straight.found


def test_substitute_is_a_function_of_its_key() -> None:
    def tried(seed: int = 1, task: str = "a", epoch: int = 0, index: int = 3) -> list[SampleKey]:
        return list(substitute_keys(seed, task, SampleKey(epoch, index), 1000))[:5]

    assert tried() == tried()
    for other in (tried(seed=2), tried(task="b"), tried(epoch=1), tried(index=4)):
        assert other != tried()


def test_each_is_logged_once_with_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        load(0, 20, bad=within(2))
    messages = [record.getMessage() for record in caplog.records]
    assert sorted(messages) == [f"task 'a': a bad sample is replaced: {index}.jpg: is truncated" for index in BAD]


@pytest.mark.parametrize(("budget", "allowed"), [(0, 0), (1, 1), (2.9, 2), (0.2, 1), (0.25, 2), (0.1, 0)])
def test_budget_is_a_count_or_a_fraction(budget: float, allowed: int) -> None:
    assert within(budget).allowed == {"a": allowed}


def test_over_the_budget_it_stops_with_the_list() -> None:
    bad = within(1)
    with pytest.raises(DataError) as caught:
        load(0, 20, bad=bad)
    assert "2 bad samples, more than the 1 allowed" in str(caught.value)
    assert "2.jpg: is truncated" in str(caught.value)
    assert "5.jpg: is truncated" in str(caught.value)
    assert "--data" in caught.value.hint


def test_data_without_a_good_sample_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "BAD", tuple(range(9)))
    with pytest.raises(DataError, match="neither it nor 64 substitutes"):
        load(0, 1, bad=within(9), batch=1)


def test_every_task_has_its_own_budget() -> None:
    bad = CorruptSamples.within(0.5, {"a": 9, "b": 1})
    assert bad.allowed == {"a": 4, "b": 0}


def other_rank(bad: CorruptSamples) -> Callable[[list[int]], list[list[int]]]:
    """What the ranks give each other where this one is rank 0 and rank 1 has met `bad`."""
    theirs = json.dumps(bad.state_dict()).encode()

    def all_gather(values: list[int]) -> list[list[int]]:
        return [values, [len(theirs)] if len(values) == 1 else list(theirs.ljust(len(values)))]

    return all_gather


def test_what_other_ranks_met_is_taken_over_once_and_counts() -> None:
    mine, theirs = within(3), within(3)
    mine.note(
        [CorruptSample("a", 2, "2.jpg: is truncated"), CorruptSample("a", 5, "5.jpg: ist abgeschnitten, für immer")]
    )
    theirs.note([CorruptSample("a", 5, "5.jpg"), CorruptSample("a", 7, "7.jpg")])
    mine.sync(other_rank(theirs))
    assert [sample.index for sample in mine.found.values()] == [2, 5, 7]
    more = within(3)
    more.note([CorruptSample("a", 8, "8.jpg")])
    with pytest.raises(DataError, match="4 bad samples, more than the 3 allowed"):
        mine.sync(other_rank(more))


def test_alone_nothing_changes_hands() -> None:
    bad = within(3)
    bad.sync(lambda values: [values])
    assert not bad.found
    bad.note([CorruptSample("a", 2, "2.jpg")])
    before = dict(bad.found)
    bad.sync(lambda values: [values])
    assert bad.found == before
