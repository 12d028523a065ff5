"""Composite batches: one batch of every task that takes part in a step."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from functools import partial
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from umbel.contract.errors import UmbelError
from umbel.contract.randomness import keyed_generator
from umbel.contract.task import Task
from umbel.contract.types import Batch, Sample, SampleKey
from umbel.data.bad_samples import CorruptSample, CorruptSamples, LoadedBatch, load_or_substitute
from umbel.data.datasets import dataset_length
from umbel.data.sample_errors import read_sample, sample_errors, with_worker_traceback
from umbel.data.sampler import KeyedStream, StepSampler
from umbel.data.worker_counts import PREFETCH, worker_counts
from umbel.data.worker_deaths import deaths, deaths_noticed_at_fetch, shared_memory_text
from umbel.data.workers import start_worker
from umbel.io.shortage import explained
from umbel.registry.calls.fault import of_samples
from umbel.registry.calls.guard import verify
from umbel.registry.calls.task_rules import AUGMENTED
from umbel.schedule.plan import CompositePlan, Plan
from umbel.schedule.window import Window

LoadedStep = dict[str, LoadedBatch]  # by task


class TrainingView(Dataset[LoadedBatch | UmbelError]):
    """A task's training data as augmented batches, addressed by lists of sample keys.

    An UmbelError is returned, not raised: torch would re-raise it in the main process with its worker's traceback.

    Args:
        task: the task.
        dataset: its training data.
        seed: run seed.
        substitute: a sample that cannot be read gives way to another, which the batch tells of.
    """

    def __init__(self, task: Task[Any], dataset: Dataset[Sample], seed: int, *, substitute: bool = False) -> None:
        self.task = task
        self.dataset = dataset
        self.seed = seed
        self.substitute = substitute

    def __getitem__(self, keys: list[SampleKey]) -> LoadedBatch | UmbelError:
        bad: list[CorruptSample] = []
        try:
            samples = [self._load_sample(key, bad) if self.substitute else self.sample(key) for key in keys]
            with of_samples([sample.id for sample in samples]):
                return LoadedBatch(self.task.collate(samples), tuple(bad))
        except UmbelError as error:
            return error

    def sample(self, key: SampleKey) -> Sample:
        """One augmented sample, a pure function of (seed, task, epoch, index)."""
        return self._checked(self._augmented(key))

    def _load_sample(self, key: SampleKey, bad: list[CorruptSample]) -> Sample:
        length = dataset_length(self.dataset)
        return self._checked(
            load_or_substitute(self._augmented, seed=self.seed, task=self.task.name, key=key, length=length, bad=bad)
        )

    def _augmented(self, key: SampleKey) -> tuple[Sample, Sample]:
        stored = read_sample(self.task, self.dataset, key.index)
        rng = keyed_generator(self.seed, self.task.name, "augment", key.epoch, key.index)
        with sample_errors(self.task, f"{key.index} ({stored.id})", "augment"):
            return stored, self.task.augment(stored, rng)

    def _checked(self, pair: tuple[Sample, Sample]) -> Sample:
        """The second of a stored and an augmented sample; a size it must not have is a fault of the task."""
        stored, augmented = pair
        verify(self.task, "augment", AUGMENTED, augmented, sample=f"sample {stored.id}")
        return augmented


class CompositeLoader:
    """Iterates over composite batches, a dict of one Batch a task that takes part in the step.

    Args:
        tasks: the tasks by name.
        datasets: their training data by name.
        seed: run seed.
        start: first step, counted from 0.
        stop: step before which to end.
        rank: this process.
        world_size: number of processes.
        bad_samples: notes samples that could not be read, and says how many there may be; without it none.
        plan: which tasks take part in which step; None is all of them in every step.
        accumulate: composite batches a step; each takes the next samples of every task.
        device_type: "cuda" or "cpu", where batches go: it decides what `workers: auto` is.
        ahead: lets loaded batches through in order, and may hold one back, as to copy it to a device; bad samples are
            noted, and errors raised, when the batch is given.
    """

    def __init__(
        self,
        tasks: Mapping[str, Task[Any]],
        datasets: Mapping[str, Dataset[Sample]],
        *,
        seed: int,
        start: int,
        stop: int,
        rank: int = 0,
        world_size: int = 1,
        bad_samples: CorruptSamples | None = None,
        plan: Plan | None = None,
        accumulate: int = 1,
        device_type: str = "cpu",
        ahead: Callable[[Iterator[LoadedStep]], Generator[LoadedStep, None, None]] | None = None,
    ) -> None:
        self.ahead = ahead
        self.tasks = tasks
        self.workers = worker_counts({name: task.config for name, task in tasks.items()}, device_type)
        self.bad_samples = CorruptSamples() if bad_samples is None else bad_samples
        allowed = self.bad_samples.allowed
        self.plan = plan or CompositePlan({name: Window() for name in tasks})
        self.steps = range(start, stop)
        self.accumulate = accumulate
        self.loaders = {
            name: _loader(
                task,
                datasets[name],
                seed=seed,
                turns=range(
                    self.plan.taken(name, start) * accumulate, self.plan.taken(name, max(start, stop)) * accumulate
                ),
                rank=rank,
                world_size=world_size,
                substitute=allowed.get(name, 0) > 0,
                workers=self.workers[name],
                pin_memory=device_type == "cuda" and torch.accelerator.is_available(),
            )
            for name, task in tasks.items()
        }

    def __iter__(self) -> Generator[dict[str, Batch], None, None]:
        """Close it to end the processes that load at once, wherever a traceback keeps it."""
        loaded = self._loaded()
        try:
            for composite in loaded if self.ahead is None else self.ahead(loaded):
                for of_task in composite.values():
                    self.bad_samples.note(of_task.bad)
                yield {name: of_task.batch for name, of_task in composite.items()}
        finally:
            loaded.close()

    def _loaded(self) -> Generator[LoadedStep, None, None]:
        streams: dict[str, Iterator[LoadedBatch | UmbelError]] = {}
        try:
            with deaths_noticed_at_fetch():
                for name, loader in self.loaders.items():
                    with explained(f"tasks.{name}", _lower(name), needed=self._needed(name)):
                        streams[name] = iter(loader)
            for step in (step for step in self.steps for _ in range(self.accumulate)):
                batches = {}
                for name in self.plan.at(step):
                    died = partial(_deaths_in, streams, name)
                    with explained(f"tasks.{name}", _lower(name), died, needed=self._needed(name)):
                        loaded = next(streams[name])
                    if isinstance(loaded, UmbelError):
                        raise with_worker_traceback(loaded)
                    batches[name] = loaded
                yield batches
        finally:
            streams.clear()

    def _needed(self, name: str) -> str:
        return shared_memory_text(self.tasks[name].config, self.workers[name])


def _deaths_in(streams: Mapping[str, object], name: str) -> str:
    return deaths(streams[name])


def _lower(task: str) -> str:
    """What makes loading a task cheaper."""
    return f"tasks.{task}.workers (0 needs no shared memory), batch_size or input_size"


def first_batch(task: Task[Any], dataset: Dataset[Sample], seed: int, *, substitute: bool = False) -> Batch:
    """The batch that a task's training starts with in one process, read in this process.

    Args:
        task: the task.
        dataset: its training data.
        seed: run seed.
        substitute: a sample that cannot be read gives way to another, as in training; none is counted.
    """
    stream = KeyedStream(task.name, dataset_length(dataset), seed)
    view = TrainingView(task, dataset, seed, substitute=substitute)
    loaded = view[stream.keys(0, task.config.batch_size)]
    if isinstance(loaded, UmbelError):
        raise with_worker_traceback(loaded)
    return loaded.batch


def batches_per_pass(
    tasks: Mapping[str, Task[Any]], datasets: Mapping[str, Dataset[Sample]], world_size: int
) -> dict[str, float]:
    """Steps in which each task sees all its data once if it takes part in every one of them; not rounded."""
    return {
        name: dataset_length(datasets[name]) / (task.config.batch_size * world_size) for name, task in tasks.items()
    }


def _loader(
    task: Task[Any],
    dataset: Dataset[Sample],
    *,
    seed: int,
    turns: range,
    rank: int,
    world_size: int,
    substitute: bool,
    workers: int,
    pin_memory: bool,
) -> DataLoader[LoadedBatch | UmbelError]:
    stream = KeyedStream(task.name, dataset_length(dataset), seed)
    sampler = StepSampler(
        stream, task.config.batch_size, start=turns.start, stop=turns.stop, rank=rank, world_size=world_size
    )
    return DataLoader(
        TrainingView(task, dataset, seed, substitute=substitute),  # type: ignore[arg-type]
        sampler=sampler,
        batch_size=None,
        num_workers=workers,
        worker_init_fn=start_worker if workers else None,
        prefetch_factor=PREFETCH if workers else None,
        pin_memory=pin_memory,
    )
