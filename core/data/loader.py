"""Composite batches: one batch of every task that takes part in a step."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from functools import partial
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from umbel.contract.errors import UmbelError
from umbel.contract.task import Task
from umbel.contract.types import Batch, Sample
from umbel.data.bad_samples import CorruptSamples, LoadedBatch
from umbel.data.datasets import dataset_length
from umbel.data.sample_errors import with_worker_traceback
from umbel.data.sampler import StepSampler
from umbel.data.shared_images import LoadedSource
from umbel.data.sources import SharedImages
from umbel.data.streams import Stream, open_streams, split
from umbel.data.worker_counts import PREFETCH, worker_counts
from umbel.data.worker_deaths import deaths, deaths_noticed_at_fetch, shared_memory_text
from umbel.data.workers import start_worker
from umbel.io.shortage import explained
from umbel.schedule.plan import CompositePlan, Plan
from umbel.schedule.window import Window

LoadedStep = dict[str, LoadedBatch]  # by task

Loaded = LoadedBatch | LoadedSource | UmbelError


class CompositeLoader:
    """Iterates over composite batches, a dict of one Batch a task that takes part in the step.

    The batches of the tasks of a source have one and the same tensor of images, and say which rows have their labels; a
    task has None in a step where no image of this rank does. A source is one stream, which moves on in each step that
    any of its tasks takes part in.

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
        sources: images that several of the tasks label, by source name; the others have images of their own.
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
        sources: Mapping[str, SharedImages] | None = None,
        accumulate: int = 1,
        device_type: str = "cpu",
        ahead: Callable[[Iterator[LoadedStep]], Generator[LoadedStep, None, None]] | None = None,
    ) -> None:
        self.ahead = ahead
        self.tasks = tasks
        self.workers = worker_counts({name: task.config for name, task in tasks.items()}, device_type)
        self.bad_samples = CorruptSamples() if bad_samples is None else bad_samples
        self.plan = plan or CompositePlan({name: Window() for name in tasks})
        self.steps = range(start, stop)
        self.accumulate = accumulate
        self.streams = open_streams(tasks, datasets, sources or {}, seed=seed, allowed=self.bad_samples.allowed)
        self.loaders = {
            stream.name: _loader(
                stream,
                turns=range(
                    self.plan.taken_by_any(stream.tasks, start) * accumulate,
                    self.plan.taken_by_any(stream.tasks, max(start, stop)) * accumulate,
                ),
                rank=rank,
                world_size=world_size,
                workers=self.workers[stream.workers_key],
                pin_memory=device_type == "cuda" and torch.accelerator.is_available(),
            )
            for stream in self.streams
        }

    def __iter__(self) -> Generator[dict[str, Batch | None], None, None]:
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
        streams: dict[str, Iterator[Loaded]] = {}
        try:
            with deaths_noticed_at_fetch():
                for stream in self.streams:
                    with explained(stream.where, stream.cheaper, needed=self._needed(stream)):
                        streams[stream.name] = iter(self.loaders[stream.name])
            for step in (step for step in self.steps for _ in range(self.accumulate)):
                due = self.plan.at(step)
                batches: LoadedStep = {}
                for stream in self.streams:
                    names = [name for name in stream.tasks if name in due]
                    if names:
                        batches.update(split(self._fetch(stream, streams), names))
                yield {name: batches[name] for name in due}
        finally:
            streams.clear()

    def _fetch(self, stream: Stream, streams: Mapping[str, Iterator[Loaded]]) -> LoadedBatch | LoadedSource:
        died = partial(_deaths_in, streams, stream.name)
        with explained(stream.where, stream.cheaper, died, needed=self._needed(stream)):
            loaded = next(streams[stream.name])
        if isinstance(loaded, UmbelError):
            raise with_worker_traceback(loaded)
        return loaded

    def _needed(self, stream: Stream) -> str:
        return shared_memory_text(stream.config, self.workers[stream.workers_key])


def _deaths_in(streams: Mapping[str, object], name: str) -> str:
    return deaths(streams[name])


def first_batch(
    task: Task[Any],
    dataset: Dataset[Sample],
    seed: int,
    *,
    substitute: bool = False,
    source: SharedImages | None = None,
) -> Batch:
    """The batch that a task's training starts with in one process, or of shared images one like it, read in this
    process.

    Args:
        task: the task.
        dataset: its training data.
        seed: run seed.
        substitute: a sample that cannot be read gives way to another, as in training; none is counted.
        source: the images of the task, where it shares them; all of the batch have its label then.
    """
    shared = {} if source is None else {source.name: source.of(task.name)}
    allowed = {task.name: 1 if substitute else 0}
    (stream,) = open_streams({task.name: task}, {task.name: dataset}, shared, seed=seed, allowed=allowed)
    loaded = stream.view[stream.order.keys(0, task.config.batch_size)]
    if isinstance(loaded, UmbelError):
        raise with_worker_traceback(loaded)
    batch = split(loaded, [task.name])[task.name].batch
    assert batch is not None  # every image has the label of the only task
    return batch


def batches_per_pass(
    tasks: Mapping[str, Task[Any]],
    datasets: Mapping[str, Dataset[Sample]],
    world_size: int,
    sources: Mapping[str, SharedImages] | None = None,
) -> dict[str, float]:
    """Steps in which each task sees all its data once if it takes part in every one of them; not rounded.

    Of a task that shares its images, all images of the source are passed, those without its label too.
    """
    shared = {name: len(source) for source in (sources or {}).values() for name in source.tasks}
    return {
        name: shared.get(name, dataset_length(datasets[name])) / (task.config.batch_size * world_size)
        for name, task in tasks.items()
    }


def _loader(
    stream: Stream, *, turns: range, rank: int, world_size: int, workers: int, pin_memory: bool
) -> DataLoader[Loaded]:
    sampler = StepSampler(
        stream.order,
        stream.config.batch_size,
        start=turns.start,
        stop=turns.stop,
        rank=rank,
        world_size=world_size,
    )
    return DataLoader(
        stream.view,  # type: ignore[arg-type]
        sampler=sampler,
        batch_size=None,
        num_workers=workers,
        worker_init_fn=start_worker if workers else None,
        prefetch_factor=PREFETCH if workers else None,
        pin_memory=pin_memory,
    )
