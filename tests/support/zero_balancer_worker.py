"""One process of a DeepSpeed run of the toys: python zero_balancer_worker.py RECIPE OUT OVERRIDE..."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from toy_balancer import ToyBalancers
from toys import ToyPlugin

from umbel import balancing
from umbel.config.load import load_recipe
from umbel.data.datasets import load_datasets
from umbel.data.loader import CompositeLoader
from umbel.registry.plugins import Plugin, Plugins
from umbel.runtime.build import build
from umbel.runtime.deepspeed import DeepSpeedRuntime
from umbel.runtime.optim import build_optimizer
from umbel.runtime.ranks import exit_now, init_process_group, ranks_from_env
from umbel.schedule.build import make_plan
from umbel.training.balancing import factors_text
from umbel.training.engine import Engine


def main(recipe_file: str, out: str, *overrides: str) -> None:
    """Train and let rank 0 write the whole weights."""
    torch.set_num_threads(1)
    plugins = Plugins()
    plugins.register(ToyPlugin(), Plugin("toy-tasks", "1.0", "toys"))
    plugins.register(balancing, Plugin("umbel", "0", "balancers"))
    plugins.register(ToyBalancers(), Plugin("toy-balancers", "1.0", "toys"))
    recipe = load_recipe(recipe_file, overrides, plugins).typed
    ranks = ranks_from_env()
    init_process_group(ranks, torch.device("cpu"), 120.0)
    tasks, model = build(recipe, plugins, pretrained=False)
    steps = recipe.train.steps or 1
    optimizer = build_optimizer(model, tasks, recipe.optim)
    runtime = DeepSpeedRuntime(model, optimizer, recipe, precision="fp32", total_steps=steps, ranks=ranks)
    plan = make_plan(recipe.tasks, recipe.train.schedule, dict.fromkeys(tasks, 1.0), 0)
    data = load_datasets(tasks, "train")
    batches = CompositeLoader(
        tasks, data, seed=0, start=0, stop=steps, rank=ranks.rank, world_size=ranks.world_size, plan=plan
    )
    Engine(runtime, tasks).fit(batches, lambda step, losses, lr: False, seed=0, start=0)
    with runtime.whole(model.balancer):
        print(factors_text(model.balancer), flush=True)
    weights = runtime.weights()
    if ranks.is_main_process:
        Path(out).parent.mkdir(parents=True, exist_ok=True)
        save_file({name: value.contiguous().clone() for name, value in weights.items()}, out)


if __name__ == "__main__":
    main(*sys.argv[1:])
    exit_now(0)
