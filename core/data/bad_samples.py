"""Corrupt training samples: one that cannot be read is substituted, counted and within a budget."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from umbel.contract.errors import DataError
from umbel.contract.randomness import keyed_generator
from umbel.contract.types import Batch, SampleKey
from umbel.data.nested import map_tensors, pinned

ATTEMPTS = 64  # substitutes tried for one sample; data of which so many in a row are bad is not data

LISTED = 20  # bad samples that the error names

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CorruptSample:
    """A training sample that could not be used.

    Args:
        task: task name.
        index: in the task's training data.
        reason: file and fault.
    """

    task: str
    index: int
    reason: str


@dataclass(frozen=True)
class LoadedBatch:
    """A batch, and the corrupt samples that were met while loading it; None where no image of a source has a label."""

    batch: Batch | None
    bad: tuple[CorruptSample, ...] = ()

    def pin_memory(self) -> LoadedBatch:
        """The same in pinned memory; a loader's thread calls it."""
        pinned_batch: Batch | None = map_tensors(pinned, self.batch)
        return LoadedBatch(pinned_batch, self.bad)


def substitute_keys(seed: int, task: str, key: SampleKey, length: int) -> Iterator[SampleKey]:
    """What is tried in place of a sample, one after the other: a pure function of (seed, task, epoch, index)."""
    rng = keyed_generator(seed, task, "substitute", key.epoch, key.index)
    for _ in range(ATTEMPTS):
        yield SampleKey(key.epoch, int(rng.integers(length)))


def _unchanged(value: Any) -> Any:
    return value


@dataclass
class CorruptSamples:
    """The corrupt samples of a run so far.

    Args:
        allowed: how many each task may have; a task that is not in it may have none.
        redact: takes out of JSON types what must not be written down.
        found: those met, by task and index.
    """

    allowed: Mapping[str, int] = field(default_factory=dict)
    redact: Callable[[Any], Any] = _unchanged
    found: dict[tuple[str, int], CorruptSample] = field(default_factory=dict)

    @classmethod
    def within(
        cls, budget: float, lengths: Mapping[str, int], redact: Callable[[Any], Any] = _unchanged
    ) -> CorruptSamples:
        """An empty list for tasks with this much training data.

        Args:
            budget: below 1 a fraction of each task's data, else a number of samples.
            lengths: training samples by task name.
            redact: takes out of JSON types what must not be written down.
        """
        return cls({name: int(budget if budget >= 1 else budget * length) for name, length in lengths.items()}, redact)

    def note(self, samples: Iterable[CorruptSample]) -> None:
        """Log the new ones, each once.

        Raises:
            DataError: a task has more than it may; lists them.
        """
        for sample in samples:
            if (sample.task, sample.index) in self.found:
                continue
            self.found[sample.task, sample.index] = sample
            log.warning("task '%s': a bad sample is replaced: %s", sample.task, sample.reason)
            self._check(sample.task)

    def sync(self, all_gather: Callable[[list[int]], list[list[int]]]) -> None:
        """Take over what the other ranks have met; afterwards all have the same list.

        Args:
            all_gather: gives every rank what each gave; every rank calls it (`Runtime.all_gather`).

        Raises:
            DataError: on all ranks alike, where they have met more of a task than it may.
        """
        mine = json.dumps(self._rows()).encode()
        longest = max(length for (length,) in all_gather([len(mine)]))
        shared = [json.loads(bytes(row)) for row in all_gather([*mine.ljust(longest)])]
        self.load_state_dict([sample for state in shared for sample in state])
        for task in sorted({task for task, _ in self.found}):
            self._check(task)

    def count(self, task: str) -> int:
        """Bad samples of a task."""
        return sum(name == task for name, _ in self.found)

    def state_dict(self) -> Any:
        """Task, index and reason of each, redacted, for the checkpoint."""
        return self.redact(self._rows())

    def load_state_dict(self, state: Sequence[Sequence[Any]]) -> None:
        """Go on from `state_dict`."""
        samples = [CorruptSample(str(task), int(index), str(reason)) for task, index, reason in state]
        self.found = {(sample.task, sample.index): sample for sample in samples}

    def to_json(self) -> Any:
        """For people and programs: task, index and reason of each, redacted."""
        return self.redact([asdict(sample) for sample in self.found.values()])

    def _rows(self) -> list[list[Any]]:
        return [[sample.task, sample.index, sample.reason] for sample in self.found.values()]

    def _check(self, task: str) -> None:
        allowed = self.allowed.get(task, 0)
        if self.count(task) <= allowed:
            return
        reasons = [sample.reason for sample in self.found.values() if sample.task == task]
        more = f"; and {len(reasons) - LISTED} more" if len(reasons) > LISTED else ""
        raise DataError(
            f"{len(reasons)} bad samples, more than the {allowed} allowed: {'; '.join(reasons[:LISTED])}{more}",
            where=f"task '{task}'",
            hint="umbel check RECIPE --data names all of them; train.bad_samples allows more",
        )


def load_or_substitute(
    load: Callable[[SampleKey], Any],
    *,
    seed: int,
    task: str,
    key: SampleKey,
    length: int,
    bad: list[CorruptSample],
    blame: Callable[[SampleKey], tuple[str, int]] | None = None,
) -> Any:
    """What `load` gives for a key or, where it raises a DataError, for the first of its substitutes that is good.

    Args:
        load: reads a sample.
        seed: run seed.
        task: name of the task or source.
        key: the sample.
        length: samples in the data set.
        bad: gets what was met on the way.
        blame: of a source, the task whose sample could not be read, and its index there.

    Raises:
        DataError: no substitute is good either.
    """
    first: DataError | None = None
    for candidate in (key, *substitute_keys(seed, task, key, length)):
        try:
            return load(candidate)
        except DataError as error:
            first = first or error
            name, index = (task, candidate.index) if blame is None else blame(candidate)
            bad.append(CorruptSample(name, index, str(error)))
    assert first is not None
    raise DataError(f"neither it nor {ATTEMPTS} substitutes can be read: {first.message}", where=first.where)
