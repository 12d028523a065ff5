"""The composition root: from a recipe to tasks, model, data, runtime and observers."""

from __future__ import annotations

import logging
from pathlib import Path

from omegaconf import DictConfig

from umbel.config.deepspeed import is_distributed
from umbel.config.schema import Recipe
from umbel.data.bad_samples import BadSamples
from umbel.data.datasets import dataset_length, load_datasets
from umbel.data.loader import batches_per_pass
from umbel.evaluate.score import check_formula
from umbel.io.shortage import allow_open_files
from umbel.registry.plugins import Plugins
from umbel.runtime.build import Fill, build, build_runtime
from umbel.runtime.device import choose_device
from umbel.runtime.malloc import keep_freed_memory
from umbel.runtime.ranks import join, launched
from umbel.schedule.build import check_plan, make_plan
from umbel.schedule.early_stop import EarlyStop
from umbel.schedule.epochs import steps_per_epoch
from umbel.training.guard import Guard
from umbel.training.run import Run
from umbel.training.trial import Trial, try_model

log = logging.getLogger(__name__)


def prepare(
    recipe: Recipe,
    tree: DictConfig,
    plugins: Plugins,
    directory: Path,
    *,
    fill: Fill | None = None,
    trial: bool = True,
) -> Run:
    """Build everything a training run needs; writes nothing.

    Args:
        recipe: the typed recipe.
        tree: the same as written.
        plugins: where kinds, backbones and balancers are looked up.
        directory: where the run will write.
        fill: puts the weights of another run into the model.
        trial: one batch and one validation image of every task are tried, and leave no trace.
    """
    check_formula(recipe.score, recipe.tasks)
    keep_freed_memory()
    allow_open_files(sum(task.workers for task in recipe.tasks.values()))
    ranks = launched()
    if is_distributed(recipe, ranks.world_size):
        join(ranks, choose_device(recipe.train.device, ranks), recipe.train.timeout)
    tasks, model = build(recipe, plugins, pretrained=not recipe.growth.kept, fill=fill)
    trained = {name: task for name, task in tasks.items() if name not in recipe.growth.held}
    train_data = load_datasets(trained, "train", defer=recipe.train.bad_samples > 0)
    val_data = load_datasets(tasks, "val")
    lengths = {name: dataset_length(dataset) for name, dataset in train_data.items()}
    bad_samples = BadSamples.within(recipe.train.bad_samples, lengths)
    batches = batches_per_pass(trained, train_data, world_size=ranks.world_size * recipe.train.accumulate)
    plan = make_plan({name: recipe.tasks[name] for name in trained}, recipe.train.schedule, batches, recipe.train.seed)
    epoch_steps = steps_per_epoch(plan, batches)
    steps = recipe.train.steps if recipe.train.steps is not None else max(1, round(recipe.train.epochs * epoch_steps))
    check_plan(plan, steps)
    early_stop = EarlyStop(recipe.train.early_stop, plan.windows)
    if trial:  # of the plain model: DeepSpeed may leave each rank with a part of it
        substituted = frozenset(name for name, allowed in bad_samples.allowed.items() if allowed > 0)
        try_model(model, Trial(recipe, tasks, train_data, val_data, plan, substituted))
    runtime = build_runtime(recipe, tasks, model, steps, ranks)
    guard = Guard(recipe.train.non_finite, recipe.train.non_finite_limit)
    return Run(
        directory, recipe, tree, plugins, tasks, runtime, train_data, val_data,
        plan, batches, early_stop, epoch_steps, steps, guard, bad_samples=bad_samples,
    )  # fmt: skip
