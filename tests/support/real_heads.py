"""Segmentation, classification and detection on a small timm backbone, trained as one of several ranks.

Run as `python real_heads.py OUT CASE...` by `launch_ranks`; it leaves the weights of every case in OUT.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import OmegaConf
from torch import Tensor
from zero_toys import joined, zero_block

from umbel.config.check import build_recipe
from umbel.config.schema import Recipe
from umbel.contract.task import Task
from umbel.contract.types import Batch
from umbel.model.model import MultiTaskModel
from umbel.registry.plugins import Plugins
from umbel.runtime.build import build
from umbel.runtime.optim import parameter_groups
from umbel.tasks.detection.prediction import BoxTarget

STEPS = 12
MOMENTUM, DECAY, CLIP = 0.9, 0.05, 1.0
BATCH = 2
SIDES = {"road": 64, "cars": 64, "signs": 96}
WEIGHTS = {"road": 1.0, "cars": 0.5, "signs": 2.0}
OPTIONS = {
    "road": ("segmentation", {"width": 16, "aux_width": 16, "dropout": 0.0, "class_names": ["a", "b", "c"]}),
    "cars": ("classification", {"mid_channels": 16, "class_names": ["a", "b", "c", "d"]}),
    "signs": ("detection", {"neck_channels": [16, 24, 32], "class_names": ["a", "b"]}),
}
LR = {"SGD": 0.01, "AdamW": 1e-4, "AdamW, eps 1e-3": 1e-4}  # by optimizer


def make(stage: int, lr: float, *, channels_last: bool = False) -> tuple[Recipe, dict[str, Task[Any]], MultiTaskModel]:
    content = {
        "backbone": {"name": "timm", "options": {"model": "test_convnext"}},
        "tasks": {
            name: {
                "kind": kind,
                "batch_size": BATCH,
                "input_size": [SIDES[name]] * 2,
                "options": {"root": "none", **options},
            }
            for name, (kind, options) in OPTIONS.items()
        },
        "optim": {"lr": lr, "weight_decay": DECAY, "clip_norm": CLIP, "warmup_steps": 0, "schedule": "constant"},
        "train": {"steps": STEPS, "precision": "fp32", "device": "cpu", "channels_last": channels_last},
        "deepspeed": zero_block(stage),
    }
    plugins = Plugins.discover()
    recipe = build_recipe(OmegaConf.create(content), plugins, "real heads")
    tasks, model = build(recipe, plugins, pretrained=False)
    model.train()
    return recipe, tasks, model


def make_optimizer(name: str, groups: Sequence[Mapping[str, Any]]) -> torch.optim.Optimizer:
    if name == "SGD":
        return torch.optim.SGD(list(groups), lr=LR[name], momentum=MOMENTUM)
    return torch.optim.AdamW(list(groups), lr=LR[name], eps=1e-3 if name.endswith("eps 1e-3") else 1e-8)


def batch_of(task: Task[Any], step: int, rank: int) -> Batch:
    """Noise with labels, a function of the arguments."""
    rng = np.random.default_rng((list(OPTIONS).index(task.name), step, rank))
    side = SIDES[task.name]
    images = torch.from_numpy(rng.integers(0, 256, (BATCH, 3, side, side), np.uint8))
    targets = task.collate_targets([_target(task.name, side, rng) for _ in range(BATCH)])
    return Batch(images, targets, tuple(f"{step}-{rank}-{n}" for n in range(BATCH)), ((side, side),) * BATCH)


def _target(name: str, side: int, rng: np.random.Generator) -> Any:
    if name == "road":
        return rng.integers(0, 3, (side, side)).astype(np.uint8)
    if name == "cars":
        return int(rng.integers(4))
    corners = rng.uniform(0, 0.6 * side, (3, 2))
    boxes = np.concatenate((corners, corners + rng.uniform(0.1 * side, 0.35 * side, (3, 2))), axis=1)
    return BoxTarget(boxes.astype(np.float32), rng.integers(0, 2, 3), np.zeros(3, bool))


def reference(optimizer_name: str, world_size: int, *, backward: bool = False) -> dict[str, Tensor]:
    """Weights after STEPS by plain PyTorch in one process: losses of all ranks summed, one backward, one step.

    Args:
        optimizer_name: of LR.
        world_size: number of ranks.
        backward: sum the losses from the last to the first: the same but for rounding.
    """
    recipe, tasks, model = make(0, LR[optimizer_name])
    optimizer = make_optimizer(optimizer_name, parameter_groups(model, tasks, recipe.optim))
    for step in range(STEPS):
        total = torch.zeros(())
        for rank in reversed(range(world_size)) if backward else range(world_size):
            for name, task in reversed(tasks.items()) if backward else tasks.items():
                batch = batch_of(task, step, rank)
                loss = task.loss(model(batch.images, name), batch.targets).total
                total = total + WEIGHTS[name] * loss / world_size
        optimizer.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
    return {name: value.detach() for name, value in model.named_parameters()}


def train(ranks: Any, optimizer_name: str, stage: int) -> dict[str, Tensor]:
    from umbel.runtime.deepspeed import DeepSpeedRuntime
    from umbel.training.engine import Engine

    recipe, tasks, model = make(stage, LR[optimizer_name])
    names = [name for name, _ in model.named_parameters()]
    optimizer = make_optimizer(optimizer_name, parameter_groups(model, tasks, recipe.optim))
    runtime = DeepSpeedRuntime(model, optimizer, recipe, precision="fp32", total_steps=STEPS, ranks=ranks)
    batches = ({name: batch_of(task, step, ranks.rank) for name, task in tasks.items()} for step in range(STEPS))
    engine = Engine(runtime, tasks)
    for composite in batches:
        engine.train_step(composite, WEIGHTS)
    weights = runtime.weights()
    return {name: weights[name] for name in names if name in weights}


def main(out: Path, cases: Sequence[str]) -> None:
    """Train every case "OPTIMIZER STAGE" and save its weights."""
    from safetensors.torch import save_file

    torch.set_num_threads(1)
    ranks = joined()
    for case in cases:
        optimizer, _, stage = case.rpartition(" ")
        weights = train(ranks, optimizer, int(stage))
        if ranks.is_main_process:
            save_file({name: value.contiguous() for name, value in weights.items()}, out / f"{case}.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
