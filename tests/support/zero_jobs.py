"""What every rank of tests/core/runtime/test_zero_state.py does: `python zero_jobs.py OUT`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from zero_toys import WEIGHTS, composite, joined, make_runtime, train_steps, zero_block

STAGES = (0, 1, 2, 3)
SCHEDULE = "every 2nd step"
SETTINGS: dict[str, Any] = {"adam": True, "norm": True, "ema_decay": 0.9}


def keep(runtime: Any, out: Path, name: str) -> None:
    tensors = {
        "model": runtime.weights(),
        "optimizer": runtime.optimizer_tensors(),
        "average": runtime.average_weights(),
        "ranks": runtime.rank_states(),
    }
    for kind, named in tensors.items() if runtime.rank == 0 else ():
        save_file({key: value.contiguous() for key, value in named.items()}, out / f"{name}-{kind}.safetensors")
    runtime.all_gather([0])  # the others wait until it is written


def take(runtime: Any, out: Path, name: str, steps: int) -> None:
    runtime.load_average(load_file(out / f"{name}-average.safetensors"), name)
    runtime.average.steps = steps
    runtime.load_weights(load_file(out / f"{name}-model.safetensors"), name)
    runtime.load_optimizer(load_file(out / f"{name}-optimizer.safetensors"), name)
    runtime.load_rank_states(load_file(out / f"{name}-ranks.safetensors"))
    runtime.steps_done = steps


def resumed(ranks: Any, out: Path, stage: int) -> Any:
    tasks, runtime = make_runtime(ranks, zero_block(stage), **SETTINGS)
    train_steps(runtime, tasks, SCHEDULE, 0, 4)
    keep(runtime, out, f"half-{stage}")
    train_steps(runtime, tasks, SCHEDULE, 4, 8)
    keep(runtime, out, f"straight-{stage}")
    tasks, other = make_runtime(ranks, zero_block(stage), seed=99, **SETTINGS)
    take(other, out, f"half-{stage}", 4)
    train_steps(other, tasks, SCHEDULE, 4, 8)
    keep(other, out, f"resumed-{stage}")
    return runtime


def bytes_of(tensors: list[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def live(ranks: Any, stage: int) -> tuple[dict[str, int], int, int]:
    """Bytes that this rank holds between the backwards of the second step and the step itself."""
    block = zero_block(stage, **({"stage3_param_persistence_threshold": 0} if stage == 3 else {}))
    tasks, runtime = make_runtime(ranks, block, adam=True, stack=True)
    shapes = [getattr(p, "ds_numel", p.numel()) for p in runtime.model.parameters()]
    train_steps(runtime, tasks, "every step", 0, 1)
    for name, batch in composite("every step", 1, ranks.rank, ranks.world_size).items():
        placed = runtime.to_device(batch)
        runtime.backward(tasks[name].loss(runtime.forward(placed.images, name), placed.targets).total)
    flats = [flat for flat, _ in runtime.shards.flats()]
    states = [value for flat in flats for value in runtime.shards.optimizer.state[flat].values() if value.dim()]
    weights = [getattr(p, "ds_tensor", p) if stage == 3 else p for p in runtime.model.parameters()]
    held = {
        "weights": bytes_of(weights),
        "master": bytes_of(flats),
        "optimizer": bytes_of(states),
        "gradients": bytes_of(runtime.shards.gradients()),
    }
    return held, 4 * sum(shapes), len(shapes)


def evaluated(ranks: Any, stage: int) -> tuple[dict[str, float], int]:
    from umbel.evaluate.evaluate import evaluate, predict_dataset

    tasks, runtime = make_runtime(ranks, zero_block(stage), adam=True)
    data = {name: task.dataset("val") for name, task in tasks.items()}
    scores = evaluate(runtime, tasks, data, "mean")
    with runtime.eval_mode():
        mine = sum(len(samples) for samples, _ in predict_dataset(runtime, tasks["third"], data["third"]))
    return scores, sum(row[0] for row in runtime.all_gather([mine]))


def disagreeing(ranks: Any) -> str:
    from umbel.contract.errors import TrainingError
    from umbel.training.engine import Engine

    tasks, runtime = make_runtime(ranks, zero_block(0))
    batches = composite("every step", 0, ranks.rank, ranks.world_size)
    mine = {name: batches[name] for name in list(batches)[ranks.rank :]}
    try:
        Engine(runtime, tasks).train_step(mine, WEIGHTS)
    except TrainingError as error:
        return str(error)
    return ""


def poisoned(ranks: Any, stage: int) -> tuple[int, bool, bool]:
    """Steps turned away, whether the weights stayed, and whether the next step is as if nothing had been."""
    from dataclasses import replace

    from umbel.training.engine import Engine
    from umbel.training.guard import Guard

    tasks, runtime = make_runtime(ranks, zero_block(stage))
    train_steps(runtime, tasks, "every step", 0, 2)
    before, guard = runtime.weights(), Guard("skip")
    bad = composite("every step", 2, ranks.rank, ranks.world_size)
    if ranks.rank == ranks.world_size - 1:
        bad["second"] = replace(bad["second"], targets=torch.full_like(bad["second"].targets, torch.nan))
    Engine(runtime, tasks, guard).train_step(bad, WEIGHTS)
    after = runtime.weights()
    stayed = all(torch.equal(after[name], before[name]) for name in before)
    train_steps(runtime, tasks, "every step", 3, 5)
    tasks, other = make_runtime(ranks, zero_block(stage))
    train_steps(other, tasks, "every step", 0, 2)
    train_steps(other, tasks, "every step", 3, 5)
    mine, theirs = runtime.weights(), other.weights()
    return guard.skipped, stayed, all(torch.equal(mine[name], theirs[name]) for name in mine)


def accumulated(ranks: Any, out: Path) -> None:
    """Two composite batches a step on one rank, or one on each of two ranks."""
    from umbel.training.engine import Engine
    from umbel.training.guard import Guard

    tasks, runtime = make_runtime(ranks, zero_block(2))
    parts = 2 // ranks.world_size
    weights = {name: weight / parts for name, weight in WEIGHTS.items()}
    guard = Guard()
    for step in range(6):
        for part in range(parts):
            batches = composite("every step", step, part + ranks.rank, 2)
            Engine(runtime, tasks, guard).train_step(batches, weights, last=part == parts - 1)
    found = runtime.weights()
    if ranks.is_main_process:
        save_file(found, out / ("accumulated.safetensors" if parts == 2 else "shared-by-two.safetensors"))


def main(out: Path) -> None:
    torch.set_num_threads(1)
    ranks = joined()
    notes: dict[str, Any] = {"live": {}, "scores": {}, "counted": {}, "skipped": {}, "unchanged": {}, "went on": {}}
    for stage in STAGES:
        notes["live"][stage], notes["parameters"], notes["tensors"] = live(ranks, stage)
        notes["scores"][stage], notes["counted"][stage] = evaluated(ranks, stage)
        if ranks.world_size == 2:
            runtime = resumed(ranks, out, stage)
            with runtime.eval_mode():
                notes["buffers"] = [float(value) for buffer in runtime.model.buffers() for value in buffer.flatten()]
            notes["skipped"][stage], notes["unchanged"][stage], notes["went on"][stage] = poisoned(ranks, stage)
        if ranks.world_size == 1:
            _, runtime = make_runtime(ranks, zero_block(stage), **SETTINGS)
            take(runtime, out, "half-3", 4)
            keep(runtime, out, f"taken-{stage}")
    if ranks.world_size == 2:
        notes["disagreement"] = disagreeing(ranks)
    if ranks.world_size <= 2:
        accumulated(ranks, out)
    (out / f"notes-{ranks.world_size}-{ranks.rank}.json").write_text(json.dumps(notes))


if __name__ == "__main__":
    from umbel.runtime.ranks import exit_now

    main(Path(sys.argv[1]))
    exit_now(0)
