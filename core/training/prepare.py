"""The composition root: from a recipe to tasks, model, data, runtime and observers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from umbel.config.deepspeed import is_distributed
from umbel.config.loaded_recipe import LoadedRecipe
from umbel.config.redact import Secrets
from umbel.config.schema import Recipe
from umbel.contract.errors import ConfigError
from umbel.contract.task import Task
from umbel.data.bad_samples import CorruptSamples
from umbel.data.datasets import dataset_length, load_datasets
from umbel.data.loader import batches_per_pass
from umbel.data.sources import open_sources, say_sources
from umbel.data.worker_counts import worker_counts
from umbel.evaluate.score import check_formula
from umbel.io.run_folder import CHECKPOINTS
from umbel.io.shortage import allow_open_files
from umbel.model.model import MultiTaskModel
from umbel.runtime.base import Runtime
from umbel.runtime.build import InitWeights, build, build_runtime
from umbel.runtime.deterministic import deterministic_kernels
from umbel.runtime.device import choose_device, make_current
from umbel.runtime.malloc import keep_freed_memory
from umbel.runtime.rank_watch import SILENCE, watch_ranks
from umbel.runtime.ranks import Ranks, init_process_group, ranks_from_env
from umbel.schedule.build import check_plan, make_plan
from umbel.schedule.early_stop import EarlyStop
from umbel.schedule.epochs import steps_per_epoch
from umbel.training.guard import Guard
from umbel.training.notify import Observers
from umbel.training.parts import BestScores, Parts
from umbel.training.run import Run, RunData, RunSchedule, images_per_step
from umbel.training.saving import Saver
from umbel.training.trial import Trial, try_model


def prepare(
    loaded: LoadedRecipe, directory: Path, *, init_weights: InitWeights | None = None, trial: bool = True
) -> Run:
    """Build everything a training run needs; writes nothing.

    Args:
        loaded: the recipe, and where its kinds, backbones and balancers are looked up.
        directory: where the run will write.
        init_weights: loads the weights of another run into the model.
        trial: one batch and one validation image of every task are tried, and leave no trace.
    """
    with deterministic_kernels(loaded.typed.train.deterministic):  # before anything is computed on a GPU
        return _prepare(loaded, directory, init_weights, trial=trial)


def _prepare(loaded: LoadedRecipe, directory: Path, init_weights: InitWeights | None, *, trial: bool) -> Run:
    recipe = loaded.typed
    check_formula(recipe.score, recipe.tasks)
    ranks = _join_processes(recipe)
    tasks, model = build(recipe, loaded.plugins, pretrained=not recipe.growth.kept, init_weights=init_weights)
    _check_shared_backbone(recipe, model)
    data = _open_data(recipe, tasks)
    schedule = _schedule(recipe, {name: tasks[name] for name in data.train}, data, ranks)
    parts = _make_parts(loaded, tasks, data, schedule)
    if trial:  # of the plain model: DeepSpeed may leave each rank with a part of it
        substituted = frozenset(name for name, allowed in parts.bad_samples.allowed.items() if allowed > 0)
        try_model(
            model,
            Trial(
                recipe=recipe,
                tasks=tasks,
                train_data=data.train,
                val_data=data.val,
                sources=data.sources,
                plan=schedule.plan,
                substituted=substituted,
            ),
        )
    runtime = build_runtime(recipe, tasks, model, schedule.total_steps, ranks)
    identity = _identity(recipe, tasks, schedule, runtime)
    return Run(
        directory=directory,
        loaded=loaded,
        tasks=tasks,
        runtime=runtime,
        data=data,
        schedule=schedule,
        parts=parts,
        saver=Saver(directory / CHECKPOINTS, runtime, parts, recipe.train, identity),
        observers=Observers(loaded.plugins.manager.hook if runtime.rank == 0 else None),
    )


def _join_processes(recipe: Recipe) -> Ranks:
    keep_freed_memory()
    ranks = ranks_from_env()
    device = choose_device(recipe.train.device, ranks)
    trained = {name: task for name, task in recipe.tasks.items() if name not in recipe.growth.frozen_tasks}
    allow_open_files(sum(worker_counts(trained, device.type).values()))
    if is_distributed(recipe, ranks.world_size):
        make_current(device)
        init_process_group(ranks, device, recipe.train.timeout)
        watch_ranks(ranks, min(SILENCE, recipe.train.collective_timeout))
    return ranks


def _open_data(recipe: Recipe, tasks: Mapping[str, Task[Any]]) -> RunData:
    trained = {name: task for name, task in tasks.items() if name not in recipe.growth.frozen_tasks}
    train = load_datasets(trained, "train", defer=recipe.train.bad_samples > 0)
    sources = open_sources(recipe.sources, trained, train)
    say_sources(sources.values())
    return RunData(train=train, val=load_datasets(tasks, "val"), sources=sources)


def _check_shared_backbone(recipe: Recipe, model: MultiTaskModel) -> None:
    """ConfigError where the backbone shows tasks of one source different features, as with statistics of their own."""
    first: dict[str, str] = {}
    for name, task in recipe.tasks.items():
        if task.source is None or name in recipe.growth.frozen_tasks:
            continue
        other = first.setdefault(task.source, name)
        if model.backbone.feature_key(name) != model.backbone.feature_key(other):
            raise ConfigError(
                f"shares the images of '{other}', but the backbone computes other features for it",
                where=f"tasks.{name}.source",
                hint="statistics of each task cannot share a pass: set backbone.options.norm_stats to shared or "
                "frozen, or leave the source out",
            )


def _schedule(recipe: Recipe, trained: Mapping[str, Task[Any]], data: RunData, ranks: Ranks) -> RunSchedule:
    config = recipe.train
    batches = batches_per_pass(trained, data.train, ranks.world_size * config.accumulate, data.sources)
    plan = make_plan({name: recipe.tasks[name] for name in trained}, config.schedule, batches, config.seed)
    epoch_steps = steps_per_epoch(plan, batches)
    steps = config.steps if config.steps is not None else max(1, round(config.epochs * epoch_steps))
    check_plan(plan, steps)
    return RunSchedule(plan=plan, batches=batches, epoch_steps=epoch_steps, total_steps=steps)


def _make_parts(loaded: LoadedRecipe, tasks: Mapping[str, Task[Any]], data: RunData, schedule: RunSchedule) -> Parts:
    config, redact = loaded.typed.train, Secrets.of(loaded.tree).redact
    lengths = {name: dataset_length(dataset) for name, dataset in data.train.items()}
    return Parts(
        guard=Guard(config.non_finite, config.non_finite_limit),
        bad_samples=CorruptSamples.within(config.bad_samples, lengths, redact),
        best=BestScores(tasks),
        early_stop=EarlyStop(config.early_stop, schedule.plan.windows),
    )


def _identity(
    recipe: Recipe, tasks: Mapping[str, Task[Any]], schedule: RunSchedule, runtime: Runtime
) -> dict[str, Any]:
    """What a run that goes on must have in common with one of its checkpoints, or is told of."""
    return {
        "seed": recipe.train.seed,
        "total_steps": schedule.total_steps,
        "world_size": runtime.world_size,
        "images_a_step": images_per_step(tasks, recipe, runtime.world_size),
    }
