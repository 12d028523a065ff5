"""What every rank of tests/core/training/test_step_round.py does, and notes: `python round_worker.py OUT`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from real_heads import WEIGHTS as HEAD_WEIGHTS
from real_heads import batch_of
from real_heads import make as make_real
from zero_toys import composite, joined, make_runtime, zero_block

from umbel.contract.errors import TrainingError, is_peer_failure
from umbel.runtime.deepspeed import DeepSpeedRuntime
from umbel.runtime.optim import build_optimizer
from umbel.runtime.ranks import Ranks
from umbel.training.engine import Engine

STEPS = 6
SIGNAL = 15


class Counted:
    """Counts the calls of a function."""

    def __init__(self, function: Any) -> None:
        self.function = function
        self.calls = 0

    def __call__(self, *given: Any, **named: Any) -> Any:
        self.calls += 1
        return self.function(*given, **named)


def count(owner: Any, *names: str) -> list[Counted]:
    counters = [Counted(getattr(owner, name)) for name in names]
    for name, counter in zip(names, counters, strict=True):
        setattr(owner, name, counter)
    return counters


def put_back(owner: Any, counters: list[Counted], *names: str) -> int:
    for name, counter in zip(names, counters, strict=True):
        setattr(owner, name, counter.function)
    return sum(counter.calls for counter in counters)


def steps(ranks: Ranks, schedule: str, number: int = STEPS, parts: int = 1) -> Iterator[dict[str, Any]]:
    for step in range(number):
        for part in range(parts):
            yield composite(schedule, step * parts + part, ranks.rank, ranks.world_size)


def make(ranks: Ranks, stage: int, **settings: Any) -> tuple[Any, Engine]:
    tasks, runtime = make_runtime(ranks, zero_block(stage), **settings)
    return runtime, Engine(runtime, tasks)


def rounds(ranks: Ranks, stage: int, parts: int) -> dict[str, int]:
    """Messages between the ranks in STEPS steps: of umbel, and of it on tensors of BatchNorm."""
    runtime, engine = make(ranks, stage, norm=True, ema_decay=0.9)
    runtime.ranks = Messages(ranks)
    names = ("all_reduce", "all_gather")
    counters = count(dist, *names)
    engine.fit(steps(ranks, "every step", parts=parts), lambda *_: False, seed=0, start=0, accumulate=parts)
    calls = put_back(dist, counters, *names)
    runtime.weights()
    return {"messages": runtime.ranks.sent, "collectives": calls}


class Messages:
    """The ranks, counting what they exchange."""

    def __init__(self, ranks: Ranks) -> None:
        self.ranks = ranks
        self.sent = 0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.ranks, name)
        if name not in ("all_reduce_max", "all_gather", "all_gather_tensors"):
            return found
        self.sent += 1
        return found


def statistics(ranks: Ranks, schedule: str, stage: int, parts: int, *, each_step: bool) -> dict[str, list[float]]:
    """Buffers and their moving average after STEPS steps, averaged over the ranks after each or when they are read."""
    runtime, engine = make(ranks, stage, norm=True, ema_decay=0.5)
    if each_step:
        begin, step = runtime.begin_batch, runtime.step

        def average_and_begin(*, even: bool) -> None:
            average_now(runtime)
            begin(even=even)

        def average_and_update() -> Any:
            update = runtime.average.update
            runtime.average.update = lambda: (average_now(runtime), update())
            try:
                return step()
            finally:
                runtime.average.update = update

        runtime.begin_batch, runtime.step = average_and_begin, average_and_update
    engine.fit(steps(ranks, schedule, parts=parts), lambda *_: False, seed=0, start=0, accumulate=parts)
    own = flat(runtime)
    with runtime.eval_mode():
        averaged = flat(runtime)
    runtime.weights()
    assert flat(runtime) == own  # reading changes nothing
    average_now(runtime)
    read = flat(runtime)
    return {"own": own, "read": read, "average": averaged}


def average_now(runtime: Any) -> None:
    runtime.statistics._average(runtime._average_of_statistics())


def flat(runtime: Any) -> list[float]:
    return [float(value) for buffer in runtime.model.buffers() for value in buffer.flatten()]


def signalled(ranks: Ranks, stage: int, arrives: int) -> list[int]:
    """The signal that is known at each step boundary, where rank 1 receives it in step `arrives`."""
    tasks, runtime = make_runtime(ranks, zero_block(stage))
    received, known = [0], []
    engine = Engine(runtime, tasks, received=lambda: received[0])

    def feed() -> Iterator[dict[str, Any]]:
        for step, batches in enumerate(steps(ranks, "every step")):
            if step > arrives and ranks.rank == 1:
                received[0] = SIGNAL
            yield batches

    def after(step: int, *_: Any) -> bool:
        known.append(engine.round.signal)
        return bool(engine.round.signal)

    engine.fit(feed(), after, seed=0, start=0)
    return known


def disagreeing(ranks: Ranks, stage: int, ends: bool) -> tuple[str, int]:
    """The error, and the steps done before it, where rank 1 lacks a task, or has no step at all, from step 3 on."""
    runtime, engine = make(ranks, stage)

    def feed() -> Iterator[dict[str, Any]]:
        for step, batches in enumerate(steps(ranks, "every step")):
            if step >= 3 and ranks.rank == 1:
                if ends:
                    return
                batches.pop("second")
            yield batches

    try:
        engine.fit(feed(), lambda *_: False, seed=0, start=0)
    except TrainingError as error:
        return str(error), runtime.steps_done
    return "", runtime.steps_done


def unreadable(ranks: Ranks, stage: int) -> tuple[str, int]:
    """Rank 1 cannot read its batch of step 3: its own error on it, a lost connection on the other."""
    runtime, engine = make(ranks, stage)

    def feed() -> Iterator[dict[str, Any]]:
        for step, batches in enumerate(steps(ranks, "every step")):
            if step == 3 and ranks.rank == 1:
                raise OSError("the disk is gone")
            yield batches

    try:
        engine.fit(feed(), lambda *_: False, seed=0, start=0)
    except OSError as error:
        return str(error), runtime.steps_done
    except RuntimeError as error:
        return "lost" if is_peer_failure(error) else str(error), runtime.steps_done
    return "", runtime.steps_done


def channels_last_weights(ranks: Ranks, stage: int) -> list[int]:
    """Convolution weights that are channels last after two steps, and all of them."""
    recipe, tasks, model = make_real(stage, 1e-3, channels_last=True)
    optimizer = build_optimizer(model, tasks, recipe.optim)
    runtime = DeepSpeedRuntime(model, optimizer, recipe, precision="fp32", total_steps=2, ranks=ranks)
    engine = Engine(runtime, tasks)
    for step in range(2):
        engine.train_step({name: batch_of(task, step, ranks.rank) for name, task in tasks.items()}, HEAD_WEIGHTS)
    wide = [p for p in model.parameters() if p.ndim == 4 and p.shape[1] > 1 and p.shape[2] > 1]
    return [sum(p.is_contiguous(memory_format=torch.channels_last) for p in wide), len(wide)]


def main(out: Path) -> None:
    torch.set_num_threads(1)
    ranks = joined()
    notes: dict[str, Any] = {
        "rounds": {f"{stage}, {parts}": rounds(ranks, stage, parts) for stage in (0, 1) for parts in (1, 2)},
        "statistics": {
            f"{schedule}, {stage}, {parts}, {each}": statistics(ranks, schedule, stage, parts, each_step=each)
            for schedule, stage, parts in (
                ("every step", 0, 1),
                ("every step", 1, 1),
                ("rank without data", 1, 1),
                ("rank without data", 1, 2),
            )
            for each in (False, True)
        },
        "signals": {str(arrives): signalled(ranks, 1, arrives) for arrives in (0, 2)},
        "disagreeing": {f"{stage}, {ends}": disagreeing(ranks, stage, ends) for stage in (1, 2) for ends in (0, 1)},
        "channels last": [channels_last_weights(ranks, stage) for stage in (0, 1)],
        "unreadable": unreadable(ranks, 1),
    }
    (out / f"rank-{ranks.rank}.json").write_text(json.dumps(notes))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
