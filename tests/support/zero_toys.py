"""A small multi-task problem for the tests of the DeepSpeed runtime, and a process that trains it as one of several.

Run as `python zero_toys.py OUT STAGE...` by `launch_ranks`; it leaves the weights of every case in OUT.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

STEPS = 20
BATCHES = {"first": (4, 32), "second": (2, 48), "third": (3, 16)}  # images a rank and their side
WEIGHTS = {"first": 0.3, "second": 1.7, "third": 1.0}
SCHEDULES = ("every step", "every 2nd step", "exhausted", "rank without data")
LR, MOMENTUM, DECAY, CLIP = 0.05, 0.9, 0.01, 0.7
TESTS = Path(__file__).resolve().parent


def takes_part(schedule: str, task: str, step: int) -> bool:
    """Whether a task takes part in a step, on all ranks alike."""
    if schedule == "every 2nd step":
        return task != "second" or step % 2 == 0
    if schedule == "exhausted":
        return task != "first" or step < 7
    return True


def has_data(schedule: str, task: str, step: int, rank: int, world_size: int) -> bool:
    """Whether a rank has data for a task that takes part."""
    starved = schedule == "rank without data" and task == "third" and step % 3 != 0
    return not (starved and rank == world_size - 1)


def batch_of(task: str, step: int, rank: int) -> tuple[Tensor, Tensor]:
    """(B, 3, S, S) uint8 images and (B,) targets, a function of the arguments."""
    count, side = BATCHES[task]
    generator = torch.Generator().manual_seed((list(BATCHES).index(task) * 1000 + step) * 16 + rank)
    images = torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8, generator=generator)
    return images, torch.rand(count, generator=generator)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


def rank_environment(rank: int, world_size: int, port: int) -> dict[str, str]:
    return {
        **os.environ,
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(world_size),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "GLOO_SOCKET_IFNAME": "lo",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")]),
    }


def launch_ranks(world_size: int, *arguments: str, timeout: float = 600.0) -> list[subprocess.CompletedProcess[str]]:
    """Run `python ARGUMENTS` as every rank of a job and wait for all of them."""
    port = free_port()
    processes = [
        subprocess.Popen(
            [sys.executable, *arguments],
            env=rank_environment(rank, world_size, port),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(world_size)
    ]
    try:
        texts = [process.communicate(timeout=timeout) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [
        subprocess.CompletedProcess(process.args, process.returncode, *text)
        for process, text in zip(processes, texts, strict=True)
    ]


class StackBackbone(nn.Module):
    """24 convolutions of the same size: what is sharded is cut evenly."""

    def __init__(self) -> None:
        super().__init__()
        from umbel import FeatureSpec

        self.spec = FeatureSpec((32,), (8,))
        self.mean, self.std = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
        self.layers = nn.Sequential(
            nn.AvgPool2d(8), nn.Conv2d(3, 32, 1), *(nn.Conv2d(32, 32, 1, bias=False) for _ in range(24))
        )

    def bind_tasks(self, tasks: tuple[str, ...]) -> None:
        pass

    def stage_of_parameters(self) -> dict[str, int]:
        return {}

    def forward(self, images: Tensor, task: str) -> tuple[Tensor, ...]:
        return (self.layers(images),)


def make_runtime(
    world: Any, block: dict[str, Any], *, adam: bool = False, stack: bool = False, seed: int = 3, **train: Any
) -> Any:
    """A runtime over three heads of a toy backbone, in the order of BATCHES; plain SGD unless `adam`."""
    from toys import BrightOptions, BrightTask, TinyBackbone, TinyOptions

    from umbel.config.schema import OptimConfig, Recipe, TrainConfig
    from umbel.contract.task_config import TaskConfig
    from umbel.model.model import build_model
    from umbel.runtime.deepspeed import DeepSpeedRuntime
    from umbel.runtime.local import LocalRuntime
    from umbel.runtime.optim import parameter_groups

    configs = {
        name: TaskConfig("bright", count, (side, side), weight=WEIGHTS[name]) for name, (count, side) in BATCHES.items()
    }
    tasks = {name: BrightTask(name, config, BrightOptions(count=7)) for name, config in configs.items()}
    torch.manual_seed(seed)
    options = TinyOptions(norm=bool(train.pop("norm", False)), dropout=0.0)
    backbone: Any = StackBackbone() if stack else TinyBackbone(options)
    model = build_model(backbone, tasks, 0)
    optim = OptimConfig(lr=LR, weight_decay=DECAY, warmup_steps=0, schedule="constant", clip_norm=CLIP)
    recipe = Recipe(tasks=configs, optim=optim, train=TrainConfig(precision="fp32", channels_last=False, **train))
    recipe.deepspeed = block
    groups = parameter_groups(model, tasks, optim)
    optimizer: torch.optim.Optimizer = torch.optim.SGD(groups, lr=LR, momentum=MOMENTUM)
    if adam:
        optimizer = torch.optim.AdamW(groups, lr=LR)
    if not block:
        return tasks, LocalRuntime(
            model, optimizer, optim=optim, train=recipe.train, precision="fp32", total_steps=STEPS
        )
    return tasks, DeepSpeedRuntime(model, optimizer, recipe, precision="fp32", total_steps=STEPS, ranks=world)


def composite(schedule: str, step: int, rank: int, world_size: int) -> dict[str, Any]:
    """The composite batch of a step as the engine takes it."""
    from umbel.contract.types import Batch

    batches: dict[str, Any] = {}
    for name in BATCHES:
        if takes_part(schedule, name, step):
            images, targets = batch_of(name, step, rank)
            sizes = ((images.shape[2], images.shape[3]),) * len(images)
            batch = Batch(images, targets, tuple(f"{name}-{step}-{rank}-{i}" for i in range(len(images))), sizes)
            batches[name] = batch if has_data(schedule, name, step, rank, world_size) else None
    return batches


def train_steps(runtime: Any, tasks: Any, schedule: str, start: int, stop: int) -> None:
    from umbel.training.engine import Engine

    runtime.model.train()
    engine = Engine(runtime, tasks)
    for step in range(start, stop):
        batches = composite(schedule, step, runtime.rank, runtime.world_size)
        engine.train_step(batches, WEIGHTS)


def reference(schedule: str, world_size: int) -> dict[str, Tensor]:
    """Weights after STEPS by plain PyTorch, written without umbel's engine, runtimes or model class.

    A task's loss is the mean over the ranks that have data for it; the gradient of an unused head is 0.
    """
    from toys import BrightHead, TinyBackbone, TinyOptions

    from umbel.contract.randomness import keyed_seed

    torch.manual_seed(3)
    backbone = TinyBackbone(TinyOptions(norm=False, dropout=0.0))
    heads = {}
    for name in BATCHES:
        torch.manual_seed(keyed_seed(0, "head", name))
        heads[name] = BrightHead(8)
    model = nn.ModuleDict({"backbone": backbone, "heads": nn.ModuleDict(heads)})
    optimizer = torch.optim.SGD(model.parameters(), lr=LR, momentum=MOMENTUM, weight_decay=DECAY)
    for step in range(STEPS):
        total = torch.zeros(())
        for name in BATCHES:
            ranks = [rank for rank in range(world_size) if has_data(schedule, name, step, rank, world_size)]
            for rank in ranks if takes_part(schedule, name, step) else ():
                images, targets = batch_of(name, step, rank)
                output = heads[name](backbone((images.float() - 127.5) / 63.75, name))
                total = total + WEIGHTS[name] * (output - targets).square().mean() / len(ranks)
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        total.backward()
        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
    return {name: value.detach() for name, value in model.named_parameters()}


def largest_difference(left: dict[str, Tensor], right: dict[str, Tensor]) -> float:
    assert left.keys() == right.keys()
    return max(float((left[name] - right[name]).abs().max()) for name in left)


def zero_block(stage: int, **zero: Any) -> dict[str, Any]:
    sizes = {"reduce_bucket_size": 2_000_000, "allgather_bucket_size": 2_000_000}
    return {"zero_optimization": {"stage": stage, **sizes, **zero}}


def joined() -> Any:
    from umbel.runtime.ranks import init_process_group, ranks_from_env

    ranks = ranks_from_env()
    init_process_group(ranks, torch.device("cpu"), 120)
    return ranks


def equality(out: Path, cases: Sequence[str]) -> None:
    """Train every schedule at every case "STAGE[:OPTION]" and save the weights."""
    from safetensors.torch import save_file

    ranks = joined()
    for case in cases:
        stage, _, option = case.partition(":")
        extra = json.loads(option) if option else {}
        for schedule in SCHEDULES:
            tasks, runtime = make_runtime(ranks, zero_block(int(stage), **extra))
            train_steps(runtime, tasks, schedule, 0, STEPS)
            weights = runtime.weights()
            if ranks.is_main_process:
                save_file(weights, out / f"{case.replace(':', '_')}-{schedule}.safetensors")


if __name__ == "__main__":
    from umbel.runtime.ranks import exit_now

    torch.set_num_threads(1)
    equality(Path(sys.argv[1]), sys.argv[2:])
    exit_now(0)  # as the command line ends: see `_leave_groups` for what an interpreter that shuts down meets
