"""What is loaded while training: of each task its samples, of each source the images that several tasks label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch.utils.data import Dataset

from umbel.contract.task import Task
from umbel.contract.task_config import TaskConfig
from umbel.contract.types import Sample
from umbel.data.bad_samples import LoadedBatch
from umbel.data.datasets import dataset_length
from umbel.data.sampler import KeyedStream
from umbel.data.shared_images import LoadedSource, SourceView
from umbel.data.sources import SharedImages
from umbel.data.training_view import TrainingView


@dataclass(frozen=True)
class Stream:
    """Samples in a keyed order, which one loader reads.

    Args:
        name: of the task or the source.
        where: its key in the recipe.
        tasks: that get their batches from it, in the recipe's order.
        config: of the first of them; all say the same of what is loaded.
        view: its batches.
        order: of its samples.
    """

    name: str
    where: str
    tasks: tuple[str, ...]
    config: TaskConfig
    view: TrainingView | SourceView
    order: KeyedStream

    @property
    def workers_key(self) -> str:
        """Its name in `worker_counts`."""
        return self.config.source or self.name

    @property
    def cheaper(self) -> str:
        """What makes loading it cheaper."""
        return f"{self.where}.workers (0 needs no shared memory), batch_size or input_size"


def open_streams(
    tasks: Mapping[str, Task[Any]],
    datasets: Mapping[str, Dataset[Sample]],
    sources: Mapping[str, SharedImages],
    *,
    seed: int,
    allowed: Mapping[str, int],
) -> list[Stream]:
    """The streams of a run: sources first named by a task, and tasks with images of their own, in the recipe's order.

    Args:
        tasks: by name.
        datasets: their training data by name.
        sources: images that several of the tasks label.
        seed: run seed.
        allowed: bad samples that each task may have; where there are any, others take their place.
    """
    shared = {name: source for source in sources.values() for name in source.tasks if name in tasks}
    streams: dict[str, Stream] = {}
    for name, task in tasks.items():
        source = shared.get(name)
        if source is None:
            view = TrainingView(task, datasets[name], seed, substitute=allowed.get(name, 0) > 0)
            order = KeyedStream(name, dataset_length(datasets[name]), seed)
            streams[name] = Stream(name, f"tasks.{name}", (name,), config=task.config, view=view, order=order)
        elif source.name not in streams:
            substitute = any(allowed.get(other, 0) > 0 for other in source.tasks)
            streams[source.name] = Stream(
                source.name,
                f"sources.{source.name}",
                source.tasks,
                config=task.config,
                view=SourceView(source, tasks, datasets, seed, substitute=substitute),
                order=KeyedStream(source.name, len(source), seed),
            )
    return list(streams.values())


def split(loaded: LoadedBatch | LoadedSource, tasks: Sequence[str]) -> dict[str, LoadedBatch]:
    """What was loaded from a stream, by those of its tasks that take part in the step."""
    if isinstance(loaded, LoadedSource):
        return loaded.of(tasks)
    (name,) = tasks
    return {name: loaded}
