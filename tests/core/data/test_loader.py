"""Composite batches: the same whoever loads them and wherever they start."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset
from toys import BrightDataset, BrightOptions, BrightTask

from umbel.contract.errors import DataError, PluginError
from umbel.contract.task_config import TaskConfig
from umbel.contract.types import Batch, Sample, SampleKey
from umbel.data.datasets import load_datasets
from umbel.data.loader import CompositeLoader, batches_per_pass
from umbel.data.training_view import TrainingView
from umbel.schedule.epochs import steps_per_epoch
from umbel.schedule.plan import CompositePlan, Plan
from umbel.schedule.window import Window


def toy(name: str, batch: int, count: int, workers: int = 0, kind: type[BrightTask] = BrightTask) -> BrightTask:
    return kind(name, TaskConfig("bright", batch, (16, 8), workers), BrightOptions(count))


def load(
    tasks: list[BrightTask],
    start: int,
    stop: int,
    *,
    seed: int = 3,
    rank: int = 0,
    world: int = 1,
    plan: Plan | None = None,
) -> list[dict[str, Batch]]:
    by_name = {task.name: task for task in tasks}
    return list(
        CompositeLoader(
            by_name,
            load_datasets(by_name, "train"),
            seed=seed,
            start=start,
            stop=stop,
            rank=rank,
            world_size=world,
            plan=plan,
        )
    )


def same(left: list[dict[str, Batch]], right: list[dict[str, Batch]]) -> bool:
    if len(left) != len(right):
        return False
    return all(
        list(a) == list(b)
        and all(a[n].ids == b[n].ids and torch.equal(a[n].images, b[n].images) for n in a)
        and all(torch.equal(a[n].targets, b[n].targets) for n in a)
        for a, b in zip(left, right, strict=True)
    )


@pytest.mark.parametrize("workers", [1, 2])
def test_batches_do_not_depend_on_workers(workers: int) -> None:
    expected = load([toy("a", 3, 8), toy("b", 2, 5)], 0, 6)
    assert same(load([toy("a", 3, 8, workers), toy("b", 2, 5)], 0, 6), expected)
    assert not same(load([toy("a", 3, 8), toy("b", 2, 5)], 0, 6, seed=4), expected)


def test_batches_do_not_depend_on_where_the_run_starts_or_who_is_with_them() -> None:
    expected = load([toy("a", 3, 8), toy("b", 2, 5)], 0, 8)
    for start in (1, 2, 5, 7, 8):
        assert same(load([toy("a", 3, 8), toy("b", 2, 5)], start, 8), expected[start:])
    alone = [{"b": batch["b"]} for batch in expected]
    assert same(load([toy("b", 2, 5)], 0, 8), alone)


@pytest.mark.parametrize("world", [2, 4])
def test_ranks_share_the_samples_of_a_step(world: int) -> None:
    def pixels(loaded: list[dict[str, Batch]], step: int) -> list[tuple[str, bytes]]:
        batch = loaded[step]["a"]
        return list(zip(batch.ids, (image.numpy().tobytes() for image in batch.images), strict=True))

    whole = load([toy("a", 8, 11)], 0, 4)
    ranks = [load([toy("a", 8 // world, 11)], 0, 4, rank=rank, world=world) for rank in range(world)]
    for step in range(4):
        assert sorted(p for rank in ranks for p in pixels(rank, step)) == sorted(pixels(whole, step))


@pytest.mark.parametrize("workers", [0, 2])
def test_task_that_rests_loads_nothing_and_goes_on_where_it_was(workers: int) -> None:
    every_step = [batch["b"] for batch in load([toy("b", 2, 5)], 0, 4)]
    plan = CompositePlan({"a": Window(), "b": Window(every=3, start_step=1, stop_step=9)})
    loaded = load([toy("a", 3, 8), toy("b", 2, 5, workers)], 0, 12, plan=plan)
    assert [step for step, batch in enumerate(loaded) if "b" in batch] == [1, 4, 7]
    assert same([{"b": loaded[step]["b"]} for step in (1, 4, 7)], [{"b": batch} for batch in every_step[:3]])
    assert same([{"a": batch["a"]} for batch in loaded], load([toy("a", 3, 8)], 0, 12))
    for start in (1, 2, 7, 8, 12):
        assert same(load([toy("a", 3, 8), toy("b", 2, 5, workers)], start, 12, plan=plan), loaded[start:])


def test_accumulated_batches_follow_one_another() -> None:
    single = load([toy("a", 3, 8)], 0, 6)
    by_name = {"a": toy("a", 3, 8)}
    for start in (0, 1, 2):
        double = CompositeLoader(by_name, load_datasets(by_name, "train"), seed=3, start=start, stop=3, accumulate=2)
        assert same(list(double), single[2 * start :])


def test_augmentation_is_a_function_of_seed_task_epoch_and_index() -> None:
    def image(seed: int = 1, name: str = "a", epoch: int = 0, index: int = 2) -> np.ndarray:
        task = toy(name, 1, 5)
        return (
            TrainingView(task, BrightDataset("same", task.options, (16, 8)), seed).sample(SampleKey(epoch, index)).image
        )

    assert (image() == image()).all()
    for other in (image(seed=2), image(name="b"), image(epoch=1), image(index=3)):
        assert (image() != other).any()


def test_batch_is_uint8_planes() -> None:
    batch = load([toy("a", 3, 8)], 0, 1)[0]["a"]
    assert batch.images.dtype == torch.uint8
    assert batch.images.shape == (3, 3, 16, 8)
    assert batch.sizes == ((16, 8),) * 3


class CorruptSample(BrightTask):
    def augment(self, sample: Sample, rng: np.random.Generator) -> Sample:
        if sample.id == "bright-4":
            raise DataError("is truncated", where="data/4.jpg", hint="fetch it again")
        return super().augment(sample, rng)


class WrongSize(BrightTask):
    def augment(self, sample: Sample, rng: np.random.Generator) -> Sample:
        return replace(sample, image=sample.image[:4])


class FloatImages(BrightTask):
    def augment(self, sample: Sample, rng: np.random.Generator) -> Sample:
        return replace(sample, image=sample.image.astype(np.float32))


@pytest.mark.parametrize("workers", [0, 1])
def test_data_error_of_a_worker_arrives_as_itself(workers: int) -> None:
    with pytest.raises(DataError) as caught:
        load([toy("a", 2, 6, workers, CorruptSample)], 0, 3)
    error = caught.value
    assert type(error) is DataError
    assert (error.message, error.where, error.hint) == ("is truncated", "data/4.jpg", "fetch it again")
    assert str(error) == "data/4.jpg: is truncated (fetch it again)"


@pytest.mark.parametrize(("kind", "message"), [(WrongSize, r"\(4, 8\), not \(16, 8\)"), (FloatImages, "float32")])
def test_augment_that_breaks_the_contract_is_named(kind: type[BrightTask], message: str) -> None:
    with pytest.raises(PluginError, match=message):
        load([toy("a", 2, 6, 0, kind)], 0, 1)


def test_empty_split_is_an_error() -> None:
    with pytest.raises(DataError, match=r"tasks\.a: split 'train' is empty"):
        load_datasets({"a": toy("a", 1, 0)}, "train")


def test_epoch_is_that_of_the_longest_task() -> None:
    tasks: dict[str, Any] = {"a": toy("a", 4, 12), "b": toy("b", 3, 7)}
    data: dict[str, Dataset[Sample]] = load_datasets(tasks, "train")
    plan = CompositePlan({"a": Window(), "b": Window()})
    assert steps_per_epoch(plan, batches_per_pass(tasks, data, world_size=1)) == 3
    tasks["b"].config.batch_size = 2
    assert steps_per_epoch(plan, batches_per_pass(tasks, data, world_size=1)) == 4
    assert steps_per_epoch(plan, batches_per_pass(tasks, data, world_size=2)) == 2
    rare = CompositePlan({"a": Window(every=3), "b": Window(start_step=5)})
    assert steps_per_epoch(rare, batches_per_pass(tasks, data, world_size=1)) == 9
