"""Composite batches: one batch of every task a step."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from typing import Any

from torch.utils.data import DataLoader, Dataset

from umbel.data.sampler import KeyedStream, StepSampler
from umbel.errors import DataError, UmbelError
from umbel.randomness import keyed_generator
from umbel.task import Task
from umbel.types import Batch, Sample, SampleKey


class TrainingView(Dataset[Batch | UmbelError]):
    """A task's training data as augmented batches, addressed by lists of sample keys.

    An UmbelError is returned, not raised: torch would re-raise it in the main process with its worker's traceback.
    """

    def __init__(self, task: Task[Any], dataset: Dataset[Sample], seed: int) -> None:
        self.task = task
        self.dataset = dataset
        self.seed = seed

    def __getitem__(self, keys: list[SampleKey]) -> Batch | UmbelError:
        try:
            return self.task.collate([self.sample(key) for key in keys])
        except UmbelError as error:
            return error

    def sample(self, key: SampleKey) -> Sample:
        """One augmented sample, a pure function of (seed, task, epoch, index)."""
        stored = self.dataset[key.index]
        rng = keyed_generator(self.seed, self.task.name, "augment", key.epoch, key.index)
        augmented = self.task.augment(stored, rng)
        if augmented.image.shape[:2] != tuple(self.task.config.input_size):
            raise DataError(
                f"augment() made an image of {augmented.image.shape[:2]}, not {self.task.config.input_size}",
                where=f"task '{self.task.name}', sample {stored.id}",
            )
        return augmented


class CompositeLoader:
    """Iterates over composite batches, a dict of one Batch a task.

    Args:
        tasks: the tasks by name.
        datasets: their training data by name.
        seed: run seed.
        start: first step, counted from 0.
        stop: step before which to end.
        rank: this process.
        world_size: number of processes.
    """

    def __init__(
        self,
        tasks: Mapping[str, Task[Any]],
        datasets: Mapping[str, Dataset[Sample]],
        seed: int,
        start: int,
        stop: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.loaders = {
            name: _loader(task, datasets[name], seed, range(start, stop), rank, world_size)
            for name, task in tasks.items()
        }

    def __iter__(self) -> Iterator[dict[str, Batch]]:
        streams = {name: iter(loader) for name, loader in self.loaders.items()}
        while streams:
            batches = {}
            for name, stream in streams.items():
                batch = next(stream, None)
                if batch is None:
                    return
                if isinstance(batch, UmbelError):
                    raise batch
                batches[name] = batch
            yield batches


def dataset_length(dataset: Dataset[Sample]) -> int:
    """Number of samples of a map-style data set."""
    return len(dataset)  # type: ignore[arg-type]


def load_datasets(tasks: Mapping[str, Task[Any]], split: str) -> dict[str, Dataset[Sample]]:
    """The data sets of a split, one a task; an empty one is an error."""
    datasets = {name: task.dataset(split) for name, task in tasks.items()}
    for name, dataset in datasets.items():
        if dataset_length(dataset) == 0:
            raise DataError(f"split '{split}' is empty", where=f"tasks.{name}", hint="check its paths and lists")
    return datasets


def steps_per_epoch(tasks: Mapping[str, Task[Any]], datasets: Mapping[str, Dataset[Sample]], world_size: int) -> int:
    """Steps in which the longest task sees all its data once."""
    return max(
        -(-dataset_length(datasets[name]) // (task.config.batch_size * world_size)) for name, task in tasks.items()
    )


def _loader(
    task: Task[Any], dataset: Dataset[Sample], seed: int, steps: range, rank: int, world_size: int
) -> DataLoader[Batch]:
    stream = KeyedStream(task.name, dataset_length(dataset), seed)
    sampler = StepSampler(stream, task.config.batch_size, steps.start, steps.stop, rank, world_size)
    workers = task.config.workers
    return DataLoader(
        TrainingView(task, dataset, seed),  # type: ignore[arg-type]
        sampler=sampler,
        batch_size=None,
        num_workers=workers,
        worker_init_fn=start_worker if workers else None,
        prefetch_factor=2 if workers else None,
    )


def start_worker(worker: int) -> None:
    """Workers leave signals to the main process and use one thread each."""
    import cv2
    import torch

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
