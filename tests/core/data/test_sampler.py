"""Keyed order: a pure function of (seed, task, step, rank)."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.contract.types import SampleKey
from umbel.data.sampler import KeyedStream, StepSampler


def batches(
    length: int, batch: int, start: int, stop: int, rank: int = 0, world: int = 1, seed: int = 7, task: str = "a"
) -> list[list[SampleKey]]:
    return list(
        StepSampler(KeyedStream(task, length, seed), batch, start=start, stop=stop, rank=rank, world_size=world)
    )


@given(length=st.integers(1, 40), epochs=st.integers(1, 4), seed=st.integers(0, 2**63 - 1))
def test_each_epoch_is_a_permutation(length: int, epochs: int, seed: int) -> None:
    keys = KeyedStream("a", length, seed).keys(0, length * epochs)
    for epoch in range(epochs):
        part = keys[epoch * length : (epoch + 1) * length]
        assert sorted(part) == [SampleKey(epoch, index) for index in range(length)]


@given(length=st.integers(1, 30), batch=st.integers(1, 12), start=st.integers(0, 50))
def test_any_start_continues_the_same_order(length: int, batch: int, start: int) -> None:
    assert batches(length, batch, 0, 55)[start:] == batches(length, batch, start, 55)


@given(length=st.integers(1, 30), share=st.integers(1, 4), steps=st.integers(1, 12))
def test_a_steps_samples_do_not_depend_on_the_number_of_ranks(length: int, share: int, steps: int) -> None:
    one = batches(length, 4 * share, 0, steps)
    for world in (2, 4):
        ranks = [batches(length, 4 * share // world, 0, steps, rank, world) for rank in range(world)]
        for step in range(steps):
            assert Counter(key for rank in ranks for key in rank[step]) == Counter(one[step])


def test_order_differs_between_epochs_tasks_and_seeds() -> None:
    def order(seed: int, task: str, epoch: int) -> list[int]:
        return [key.index for key in KeyedStream(task, 50, seed).keys(50 * epoch, 50)]

    orders = [order(1, "a", 0), order(1, "a", 1), order(1, "b", 0), order(2, "a", 0)]
    assert len({tuple(o) for o in orders}) == 4


@pytest.mark.parametrize(("start", "stop"), [(0, 0), (3, 3), (2, 5)])
def test_length_is_the_number_of_steps(start: int, stop: int) -> None:
    assert (
        len(StepSampler(KeyedStream("a", 5, 0), 2, start=start, stop=stop))
        == stop - start
        == len(batches(5, 2, start, stop))
    )
