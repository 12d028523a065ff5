"""Bytes of model states on each rank at ZeRO 0 to 3: parameters, fp32 master copies, Adam moments, gradients."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from itertools import accumulate

STAGES = (0, 1, 2, 3)

_MASTER = 4  # bytes of an fp32 element

_MOMENTS = 8  # Adam's two


@dataclass(frozen=True)
class Weights:
    """The parameters of a model, counted.

    Args:
        trained: elements of each trained parameter.
        frozen: elements of each frozen parameter.
        buffers: bytes of what is no parameter, such as batch statistics; every rank holds all of it.
    """

    trained: tuple[int, ...]
    frozen: tuple[int, ...] = ()
    buffers: int = 0

    @property
    def elements(self) -> int:
        return sum(self.trained) + sum(self.frozen)


@dataclass(frozen=True)
class Sharding:
    """How DeepSpeed is set: what decides its memory besides stage and ranks.

    Args:
        weight_bytes: 4 for fp32 weights (also under bf16 autocast), 2 for bf16 weights with fp32 masters.
        averaged: a moving average of the weights is kept.
        offload: master copies and moments live in host memory, from stage 1.
        persistent: at stage 3, parameters of fewer elements stay whole on every rank.
        bucket: elements of a communication buffer.
    """

    weight_bytes: int = 4
    averaged: bool = False
    offload: bool = False
    persistent: int = 100_000
    bucket: int = 50_000_000


@dataclass(frozen=True)
class States:
    """Bytes on one rank's device between the last backward and the step, when all of them are there."""

    parameters: int
    master: int
    moments: int
    gradients: int
    average: int
    buckets: int

    @property
    def total(self) -> int:
        return self.parameters + self.master + self.moments + self.gradients + self.average + self.buckets


def model_states(weights: Weights, stage: int, ranks: int, sharding: Sharding) -> States:
    """What one rank holds; checked against live tensors of DeepSpeed 0.19.8 (tests/core/plan).

    Every stage from 1 shards masters and moments, 2 gradients too, 3 parameters as well. Stage 0 with fp32 weights
    needs no master copies; from stage 1 DeepSpeed keeps them whatever the weights are, so that a single rank needs more
    at stage 1 than at 0.

    Args:
        weights: the model.
        stage: 0 to 3.
        ranks: processes that share the states.
        sharding: the rest of the set-up.
    """
    trained = sum(weights.trained)
    size = sharding.weight_bytes
    parameters = weights.elements * size
    if stage == 3:
        every = (*weights.trained, *weights.frozen)
        whole = sum(count for count in every if count < sharding.persistent)
        parameters = whole * size + _share((weights.elements - whole) * size, ranks)
    owners = ranks if stage >= 1 else 1
    master = 0 if stage == 0 and size == _MASTER else _share(trained * _MASTER, owners)
    moments = _share(trained * _MOMENTS, owners)
    offloaded = sharding.offload and stage >= 1  # DeepSpeed offloads sharded optimizers only
    return States(
        parameters=parameters + weights.buffers,
        master=0 if offloaded else master,
        moments=0 if offloaded else moments,
        gradients=_gradients(weights, stage, ranks, size),
        average=_average(weights, stage, ranks, sharding),
        buckets=_buckets(weights, stage, ranks, sharding),
    )


def _gradients(weights: Weights, stage: int, ranks: int, size: int) -> int:
    """At stage 2 with fp32 weights a rank holds whole gradients: of a tensor that its share cuts, all of it."""
    trained = sum(weights.trained)
    if stage < 2:
        return trained * size
    if stage == 3 or size != _MASTER:
        return _share(trained * size, ranks)
    ends, share = list(accumulate(weights.trained)), _share(trained, ranks)
    most = 0
    for start in range(0, trained, max(1, share)):
        first, last = bisect_right(ends, start), bisect_left(ends, min(start + share, trained))
        most = max(most, ends[last] - ends[first] + weights.trained[first])
    return most * size


def _average(weights: Weights, stage: int, ranks: int, sharding: Sharding) -> int:
    if not sharding.averaged:
        return 0
    return _share(sum(weights.trained) * _MASTER, ranks if stage >= 1 else 1) + weights.buffers


def _buckets(weights: Weights, stage: int, ranks: int, sharding: Sharding) -> int:
    """Communication buffers: one for gradients, at stage 3 another for the parameters gathered ahead."""
    if ranks == 1:
        return 0
    bucket = min(sharding.bucket, sum(weights.trained)) * sharding.weight_bytes
    return 2 * bucket if stage == 3 else bucket


def _share(amount: int, ranks: int) -> int:
    return -(-amount // ranks)
