"""From a recipe to its model and runtime."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import torch

from umbel.config.build import build_tasks
from umbel.config.deepspeed import is_distributed, wanted_precision, zero_stage
from umbel.config.growth import ADAPTER, FROZEN
from umbel.config.schema import Recipe
from umbel.contract.errors import ConfigError
from umbel.contract.randomness import keyed_seed
from umbel.contract.task import Task
from umbel.model.grow import freeze_existing
from umbel.model.model import MultiTaskModel, build_model
from umbel.registry.make import make
from umbel.registry.plugins import Plugins
from umbel.runtime.base import Runtime
from umbel.runtime.compiled import CompiledModel
from umbel.runtime.compiler import chooses_compiler
from umbel.runtime.device import choose_device, make_current
from umbel.runtime.fast_norm import make_norms_fast, wants_fast_norms
from umbel.runtime.local import LocalRuntime
from umbel.runtime.optim import build_optimizer
from umbel.runtime.precision import choose_precision
from umbel.runtime.ranks import ALONE, Ranks, ranks_from_env

log = logging.getLogger(__name__)

InitWeights = Callable[[MultiTaskModel], None]


def build(
    recipe: Recipe, plugins: Plugins, *, pretrained: bool, init_weights: InitWeights | None = None
) -> tuple[dict[str, Task[Any]], MultiTaskModel]:
    """Tasks and model, on the recipe's device; new weights are a function of the seed.

    Args:
        recipe: the typed recipe.
        plugins: where kinds and backbones are looked up.
        pretrained: load the weights that the backbone's options name; a checkpoint brings its own.
        init_weights: loads the weights of another run into the model.
    """
    tasks = build_tasks(recipe, plugins)
    registration = plugins.find("backbone", recipe.backbone.name, "backbone.name")
    registration.load()  # what its import draws must not move the weights
    torch.manual_seed(keyed_seed(recipe.train.seed, "backbone"))
    backbone = make(registration, recipe.backbone.options, name=registration.name, where="backbone.name")
    loaded = backbone.load_pretrained() if pretrained else ""
    chosen = recipe.train.balancer
    balancing = plugins.balancer(chosen.name, "train.balancer.name")
    balancer = make(balancing, chosen.options, tuple(tasks), name=chosen.name, where="train.balancer.name")
    model = build_model(backbone, tasks, recipe.train.seed, balancer)
    if init_weights is not None:
        init_weights(model)
    freeze_kept(model, recipe)
    if loaded:
        log.info("backbone: %s; %s", backbone.summary(), loaded)
    device = choose_device(recipe.train.device, ranks_from_env())
    make_current(device)
    if wants_fast_norms(device, choose_precision(wanted_precision(recipe), device)):
        make_norms_fast(model)
    model.to(device)
    if recipe.train.channels_last:
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return tasks, model


def freeze_kept(model: MultiTaskModel, recipe: Recipe) -> None:
    """Freeze what a grown recipe keeps as it was, and give it the adapters that its mode asks for."""
    growth = recipe.growth
    if growth.mode in (FROZEN, ADAPTER):
        adapter = (growth.rank, growth.alpha) if growth.mode == ADAPTER else None
        freeze_existing(model, growth.frozen_tasks, adapter, recipe.train.seed)


def build_runtime(
    recipe: Recipe, tasks: dict[str, Task[Any]], model: MultiTaskModel, steps: int, ranks: Ranks = ALONE
) -> Runtime:
    """The runtime of a recipe: DeepSpeed where several processes train or where the recipe has a `deepspeed:` block."""
    precision = choose_precision(wanted_precision(recipe), next(model.parameters()).device)
    optimizer = build_optimizer(model, tasks, recipe.optim)
    compiled = compile_model(recipe, model, ranks)
    if not is_distributed(recipe, ranks.world_size):
        return LocalRuntime(
            model,
            optimizer,
            optim=recipe.optim,
            train=recipe.train,
            precision=precision,
            total_steps=steps,
            compiled=compiled,
        )
    if model.balancer.gradient_every:
        raise ConfigError(
            "measures gradients on the backbone, which DeepSpeed does not give between its own backward passes",
            where="train.balancer",
            hint="use loss_scale or uncertainty, or train in one process without a deepspeed block",
        )
    from umbel.runtime.deepspeed import DeepSpeedRuntime

    bf16 = bool(ranks.all_reduce_max(torch.tensor([precision == "bf16"], dtype=torch.int64))[0])
    agreed = "bf16" if bf16 else "fp32"
    return DeepSpeedRuntime(
        model, optimizer, recipe, precision=agreed, total_steps=steps, ranks=ranks, compiled=compiled
    )


def compile_model(recipe: Recipe, model: MultiTaskModel, ranks: Ranks = ALONE) -> CompiledModel | None:
    """What runs a recipe's model compiled in training, or None where `train.compile` has it run eagerly."""
    stage = zero_stage(recipe) if is_distributed(recipe, ranks.world_size) else 0
    device, wanted = next(model.parameters()).device, recipe.train.compile
    if not chooses_compiler(wanted, device, stage=stage):
        return None
    shapes = {name: (task.batch_size, 3, *task.input_size) for name, task in recipe.tasks.items()}
    repeats = bool(model.balancer.gradient_every)
    return CompiledModel(model, shapes, must=wanted == "on", repeats_backward=repeats)
