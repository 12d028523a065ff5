"""A process that trains three tasks of one source as one of several: `python shared_worker.py OUT STAGE...`.

Labels are partial, and in some steps a rank has none of a task, or of any.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from zero_toys import BATCHES, CLIP, DECAY, LR, MOMENTUM, STEPS, WEIGHTS, joined, make_runtime, zero_block

IMAGES, SIDE = 4, 32


def labels_of(step: int, rank: int) -> dict[str, Tensor]:
    """Rows that each task labels."""
    generator = torch.Generator().manual_seed(1000 * step + rank)
    rows = {name: (torch.rand(IMAGES, generator=generator) < 0.6).nonzero()[:, 0] for name in BATCHES}
    if rank == 1 and step % 4 == 1:
        rows["third"] = rows["third"][:0]
    if rank == 1 and step % 4 == 3:
        rows = {name: found[:0] for name, found in rows.items()}
    return rows


def data_of(step: int, rank: int) -> tuple[Tensor, dict[str, Tensor]]:
    """(4, 3, 32, 32) uint8 images, and (4,) targets by task."""
    generator = torch.Generator().manual_seed(17 * (1000 * step + rank) + 5)
    images = torch.randint(0, 256, (IMAGES, 3, SIDE, SIDE), dtype=torch.uint8, generator=generator)
    return images, {name: torch.rand(IMAGES, generator=generator) for name in BATCHES}


def composite(step: int, rank: int) -> dict[str, Any]:
    """What the loader gives a rank."""
    from umbel.contract.types import Batch

    images, targets = data_of(step, rank)
    batches: dict[str, Any] = {}
    for name, rows in labels_of(step, rank).items():
        ids, sizes = tuple(f"{name}-{row}" for row in rows.tolist()), ((SIDE, SIDE),) * len(rows)
        known = None if len(rows) == IMAGES else rows
        batches[name] = Batch(images, targets[name][rows], ids, sizes, known) if len(rows) else None
    return batches


def train(runtime: Any, tasks: Any) -> None:
    from umbel.training.engine import Engine

    for task in tasks.values():
        task.config = replace(task.config, source="shared", batch_size=IMAGES, input_size=(SIDE, SIDE))
    runtime.model.train()
    engine = Engine(runtime, tasks)
    for step in range(STEPS):
        engine.train_step(composite(step, runtime.rank), WEIGHTS)


def reference(world_size: int) -> dict[str, Tensor]:
    """Weights after STEPS by plain PyTorch: each task's labelled images of each rank through a pass of their own."""
    _, runtime = make_runtime(None, {})
    model: nn.Module = runtime.model
    optimizer = torch.optim.SGD(model.parameters(), lr=LR, momentum=MOMENTUM, weight_decay=DECAY)
    for step in range(STEPS):
        total = torch.zeros(())
        for name in BATCHES:
            rows = {rank: labels_of(step, rank)[name] for rank in range(world_size)}
            having = [rank for rank, found in rows.items() if len(found)]
            for rank in having:
                images, targets = data_of(step, rank)
                pixels = (images[rows[rank]].float() - 127.5) / 63.75
                output = model.heads[name](model.backbone(pixels, name))  # type: ignore[index, operator]
                error = (output - targets[name][rows[rank]]).square().mean()
                total = total + WEIGHTS[name] * error / len(having)
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        total.backward()
        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
    return {name: value.detach() for name, value in model.named_parameters()}


def main(out: Path, stages: list[str]) -> None:
    from safetensors.torch import save_file

    from umbel.runtime.ranks import exit_now

    torch.set_num_threads(1)
    ranks = joined()
    for stage in stages:
        whole = {"stage3_param_persistence_threshold": 0} if stage == "3" else {}
        tasks, runtime = make_runtime(ranks, zero_block(int(stage), **whole))
        train(runtime, tasks)
        weights = runtime.weights()
        if ranks.is_main_process:
            save_file(weights, out / f"{stage}.safetensors")
    exit_now(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
