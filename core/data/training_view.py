"""A task's own training data, augmented by the task, in batches."""

from __future__ import annotations

from typing import Any

from torch.utils.data import Dataset

from umbel.contract.errors import UmbelError
from umbel.contract.randomness import keyed_generator
from umbel.contract.task import Task
from umbel.contract.types import Sample, SampleKey
from umbel.data.bad_samples import CorruptSample, LoadedBatch, load_or_substitute
from umbel.data.datasets import dataset_length
from umbel.data.sample_errors import read_sample, sample_errors
from umbel.registry.calls.fault import of_samples
from umbel.registry.calls.guard import verify
from umbel.registry.calls.task_rules import AUGMENTED


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
