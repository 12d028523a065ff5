"""Keyed order: which samples a task's n-th batch holds is a pure function of (seed, task, n, rank)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from umbel.contract.randomness import keyed_generator
from umbel.contract.types import SampleKey


class KeyedStream:
    """An endless stream of samples: one fresh permutation of the data set after another, cut nowhere.

    Args:
        task: task name; part of the key.
        length: samples in the data set.
        seed: run seed.
    """

    def __init__(self, task: str, length: int, seed: int) -> None:
        self.task = task
        self.length = length
        self.seed = seed
        self._epoch = -1
        self._order = np.empty(0, np.int64)

    def key(self, position: int) -> SampleKey:
        """The sample at a position of the stream."""
        epoch, offset = divmod(position, self.length)
        if epoch != self._epoch:
            self._order = keyed_generator(self.seed, self.task, "order", epoch).permutation(self.length)
            self._epoch = epoch
        return SampleKey(epoch, int(self._order[offset]))

    def keys(self, start: int, count: int) -> list[SampleKey]:
        """`count` samples from position `start` on."""
        return [self.key(position) for position in range(start, start + count)]


class StepSampler(Sampler[list[SampleKey]]):
    """The batches of one rank, step by step; steps that the task takes no part in are not counted.

    All ranks together take `batch_size * world_size` consecutive samples a step, each its own contiguous part, so the
    samples of a step do not depend on how many ranks share them while the product stays the same.

    Args:
        stream: where the samples come from.
        batch_size: samples a step on this rank.
        start: first step, counted from 0.
        stop: step before which to end.
        rank: this process.
        world_size: number of processes.
    """

    def __init__(
        self, stream: KeyedStream, batch_size: int, *, start: int, stop: int, rank: int = 0, world_size: int = 1
    ) -> None:
        self.stream = stream
        self.batch_size = batch_size
        self.steps = range(start, stop)
        self.rank = rank
        self.world_size = world_size

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[list[SampleKey]]:
        for step in self.steps:
            first = (step * self.world_size + self.rank) * self.batch_size
            yield self.stream.keys(first, self.batch_size)
