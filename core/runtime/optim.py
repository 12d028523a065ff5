"""AdamW parameter groups and the learning-rate schedule."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from umbel.config.schema import OptimConfig
from umbel.contract.task import Task
from umbel.model.model import MultiTaskModel


def lr_factor(step: int, total_steps: int, config: OptimConfig) -> float:
    """Learning rate of an optimizer step as a fraction of `config.lr`.

    Linear from 0 over the warm-up, so the very first step moves nothing; then a cosine from 1 to `min_lr`, counted from
    the end of the warm-up but over the whole run's length (Paddle's LinearWarmup around a cosine), and flat beyond
    that, should training go on.

    Args:
        step: optimizer steps done before this one.
        total_steps: steps of the run.
        config: warm-up, schedule and rates.
    """
    if step < config.warmup_steps:
        return step / config.warmup_steps
    if config.schedule == "constant" or config.lr == 0:
        return 1.0
    phase = min((step - config.warmup_steps) / max(total_steps, 1), 1.0)
    floor = config.min_lr / config.lr
    return floor + (1 - floor) * (1 + math.cos(math.pi * phase)) / 2


def parameter_groups(
    model: MultiTaskModel, tasks: Mapping[str, Task[Any]], config: OptimConfig
) -> list[dict[str, Any]]:
    """AdamW groups: one for each pair of learning rate and weight decay that occurs.

    Heads use their task's `lr_scale`, the balancer its own and no decay, the backbone `backbone_lr_scale` times
    `layer_decay` per stage counted from the heads. `name` and `initial_lr` are kept in each group for the log and the
    schedule.
    """
    groups: dict[tuple[str, float, float], dict[str, Any]] = {}
    depths = model.backbone.stage_of_parameters()
    last = max(depths.values(), default=0)
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        owner, _, rest = name.partition(".")
        if owner == "heads":
            owner = rest.partition(".")[0]
            scale = tasks[owner].config.lr_scale
        elif owner == "balancer":
            scale = model.balancer.lr_scale
        else:
            scale = config.backbone_lr_scale * config.layer_decay ** (last + 1 - depths.get(rest, last))
        decays = owner != "balancer" and (config.decay_norm_bias or parameter.ndim > 1)
        key = (owner, scale, config.weight_decay if decays else 0.0)
        group = groups.setdefault(
            key,
            {
                "name": owner,
                "params": [],
                "lr": config.lr * scale,
                "initial_lr": config.lr * scale,
                "weight_decay": key[2],
            },
        )
        group["params"].append(parameter)
    return list(groups.values())


def build_optimizer(model: MultiTaskModel, tasks: Mapping[str, Task[Any]], config: OptimConfig) -> torch.optim.AdamW:
    """AdamW over the groups of `parameter_groups`: on a GPU one kernel for many tensors, on a CPU tensor by tensor."""
    groups = parameter_groups(model, tasks, config)
    beta1, beta2 = config.betas
    fused = True if next(model.parameters()).is_cuda else None  # None: torch's default
    return torch.optim.AdamW(groups, lr=config.lr, betas=(beta1, beta2), eps=config.eps, fused=fused)


def counter_device(optimizer: torch.optim.Optimizer, parameter: Tensor) -> torch.device:
    """Where an optimizer wants a parameter's step counter: fused kernels read it on the device, loops on the host."""
    return parameter.device if optimizer.defaults.get("fused") else torch.device("cpu")
