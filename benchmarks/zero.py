"""A step of each ZeRO stage against a hand-written DDP loop, two processes over gloo on one machine."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Callable

import torch
from measure import arguments, medians, ratio, side_by_side
from report import Claim, milliseconds, publish
from system import System, new_system, three_tasks
from torch.nn.parallel import DistributedDataParallel

from umbel.runtime.deepspeed import DeepSpeedRuntime
from umbel.runtime.optim import build_optimizer
from umbel.runtime.ranks import exit_now, init_process_group, ranks_from_env
from umbel.training.engine import Engine
from umbel.training.step_round import Lookahead

STAGES = (0, 1, 2, 3)
DEFAULT = 1  # without a deepspeed block
TARGET = 1.02
WORKER = "UMBEL_BENCHMARK_WORKER"


def ddp_step(system: System) -> Callable[[], None]:
    """A backward a task, gradients exchanged in the last, one AdamW step."""
    model = DistributedDataParallel(system.model, find_unused_parameters=True)
    optimizer = torch.optim.AdamW(system.model.parameters(), lr=1e-4)
    last = list(system.tasks)[-1]
    images = {name: batch.images.to(memory_format=torch.channels_last) for name, batch in system.batches.items()}

    def step() -> None:
        for name, task in system.tasks.items():
            model.require_backward_grad_sync = name == last
            task.loss(model(images[name], name), system.batches[name].targets).total.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def zero_step(system: System, stage: int) -> Callable[[], None]:
    optimizer = build_optimizer(system.model, system.tasks, system.recipe.optim)
    runtime = DeepSpeedRuntime(
        system.model, optimizer, system.recipe, precision="fp32", total_steps=10**6, ranks=ranks_from_env()
    )
    runtime.model.train()
    weights = dict.fromkeys(system.tasks, 1.0)
    engine = Engine(runtime, system.tasks)
    ahead = Lookahead(itertools.repeat(system.batches))  # as in training: a step announces the next one's tasks
    return lambda: engine.train_step(next(ahead), weights, ahead=ahead) and None


def work(quick: bool) -> None:
    """What both processes run; the first prints."""
    torch.set_num_threads(1)
    ranks = ranks_from_env()
    init_process_group(ranks, torch.device("cpu"), 300)
    tasks = three_tasks(True) if quick else three_tasks(False)
    runs = {"DDP loop": ddp_step(new_system(tasks))}
    for stage in STAGES:
        block = {"zero_optimization": {"stage": stage}}
        runs[f"ZeRO {stage}"] = zero_step(new_system(tasks, deepspeed=block), stage)
    times = side_by_side(runs, 2 if quick else 15)
    if ranks.is_main_process:
        rows = [(name, milliseconds(value)) for name, value in medians(times).items()]
        claims = [
            Claim(
                f"ZeRO {stage} / DDP loop",
                ratio(times, f"ZeRO {stage}", "DDP loop"),
                TARGET if stage == DEFAULT else None,
            )
            for stage in STAGES
        ]
        publish("zero", ("step, two processes", "median ms"), rows, claims)
    torch.distributed.barrier()
    exit_now(0)


def main() -> None:
    quick = arguments(__doc__).quick
    if WORKER in os.environ:
        work(quick)
        return
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *sys.argv]
    environment = os.environ | {WORKER: "1", "OMP_NUM_THREADS": "1", "DS_ACCELERATOR": "cpu"}
    subprocess.run(command, check=True, env=environment)


if __name__ == "__main__":
    main()
