"""The models of a comparison: trained, resumed, or taken as they are when they are finished."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from umbel.config.build import build_tasks
from umbel.config.edit import changed_keys
from umbel.config.load import load_recipe
from umbel.config.read import read_tree
from umbel.config.schema import Recipe
from umbel.contract.errors import ConfigError
from umbel.data.datasets import load_datasets
from umbel.data.loader import batches_per_pass
from umbel.data.sources import open_sources
from umbel.evaluate.evaluate import read_scores
from umbel.io.run_folder import CHECKPOINTS, RECIPE_FILE, SCORES_FILE
from umbel.registry.plugins import Plugins
from umbel.schedule.build import check_plan
from umbel.schedule.build import make_plan as make_step_plan
from umbel.schedule.config import PROPORTIONAL, TEMPERATURE
from umbel.schedule.epochs import steps_per_epoch
from umbel.training.api import train

log = logging.getLogger(__name__)

JOINT = "joint"

# what changes no score: fewer keys than a run may change on its way
_FREE = re.compile(
    r"deepspeed|tasks\.\w+\.workers"
    r"|train\.(device|log_every|save_every|timeout|collective_timeout|keep_checkpoints|keep_every|save_async|save_failures)"
)


@dataclass(frozen=True)
class Planned:
    """One model to train.

    Args:
        name: "joint" or the task it is for.
        seed: of the run.
        overrides: to the recipe.
        directory: of the run.
    """

    name: str
    seed: int
    overrides: tuple[str, ...]
    directory: Path


@dataclass(frozen=True)
class Plan:
    """What a comparison trains.

    Args:
        recipe: path or name of the recipe.
        tasks: main metric by task, in order.
        steps: optimizer steps of the joint model; a task alone takes as many as it takes part in beside the others.
        models: in the order they are trained.
    """

    recipe: str
    tasks: dict[str, str]
    steps: int
    models: list[Planned]


def make_plan(recipe: str, overrides: Sequence[str], seeds: Sequence[int], steps: int | None, out: Path) -> Plan:
    """The joint model and one of each task, for every seed; alone a task sees as many images as beside the others.

    Raises:
        ConfigError: for a recipe of fewer than two tasks, or a seed named twice.
    """
    plugins = Plugins.discover()
    typed = load_recipe(recipe, overrides, plugins).typed
    if len(typed.tasks) < 2:
        raise ConfigError(
            f"has {len(typed.tasks)} task", where=recipe, hint="comparing a joint model with its parts needs two tasks"
        )
    if len(set(seeds)) != len(seeds) or not seeds:
        raise ConfigError(f"seeds are {', '.join(map(str, seeds)) or 'none'}", where="--seeds", hint="name each once")
    tasks = build_tasks(typed, plugins)
    steps = steps or typed.train.steps
    batches = dict.fromkeys(tasks, 1.0)
    if steps is None or typed.train.schedule.strategy in (PROPORTIONAL, TEMPERATURE):
        datasets = load_datasets(tasks, "train")
        sources = open_sources(typed.sources, tasks, datasets)
        batches = batches_per_pass(tasks, datasets, world_size=typed.train.accumulate, sources=sources)
    if steps is None:  # an epoch is that of the joint model; a twin's own would be shorter
        plan = make_step_plan(typed.tasks, typed.train.schedule, batches, seeds[0])
        steps = max(1, round(typed.train.epochs * steps_per_epoch(plan, batches)))
    models = []
    for seed in seeds:
        common = (*overrides, f"train.seed={seed}")
        joint = (*common, f"train.steps={steps}")
        models.append(Planned(JOINT, seed, joint, out / f"{JOINT}-seed{seed}"))
        plan = make_step_plan(typed.tasks, typed.train.schedule, batches, seed)
        check_plan(plan, steps)
        for name in tasks:
            alone = (*common, f"train.steps={plan.taken(name, steps)}", *_alone(typed, name))
            models.append(Planned(name, seed, alone, out / f"{name}-alone-seed{seed}"))
    return Plan(recipe, {name: task.main_metric for name, task in tasks.items()}, steps, models)


def _alone(recipe: Recipe, name: str) -> tuple[str, ...]:
    """Overrides that leave one task, which takes part in every step from the first on."""
    dropped = [f"tasks.{other}=null" for other in recipe.tasks if other != name]
    kept = recipe.tasks[name].source
    dropped += [f"sources.{source}=null" for source in recipe.sources if source != kept]
    every_step = {"every": 1, "start_step": 0, "stop_step": None}
    config = recipe.tasks[name]
    changed = [
        f"tasks.{name}.{key}={'null' if value is None else value}"
        for key, value in every_step.items()
        if getattr(config, key) != value
    ]
    primary = [f"train.early_stop.primary={name}"] if recipe.train.early_stop.primary is not None else []
    return (*dropped, "score=mean", *changed, *primary)


def train_or_reuse(plan: Plan, model: Planned, *, quiet: bool) -> dict[str, float]:
    """Scores of a model: read where it is finished, else trained, from its newest checkpoint where it has one.

    Raises:
        ConfigError: if the folder holds a run of another recipe.
    """
    plugins = Plugins.discover()
    tree = load_recipe(plan.recipe, model.overrides, plugins).tree
    saved = model.directory / RECIPE_FILE
    if saved.is_file():
        changed = sorted(_differences(read_tree(str(saved), plugins), tree))
        if changed:
            raise ConfigError(
                f"holds a run of another recipe: {', '.join(changed[:6])} differ",
                where=str(model.directory),
                hint="compare into another folder: --out DIR",
            )
    finished = model.directory / SCORES_FILE
    if finished.is_file():
        log.info("%s: already trained", model.directory)
        return read_scores(finished)
    started = (model.directory / CHECKPOINTS).is_dir() and any((model.directory / CHECKPOINTS).glob("step-*"))
    train(plan.recipe, model.overrides, out=model.directory, resume=started, quiet=quiet)
    return read_scores(finished)


def _differences(saved: Any, tree: DictConfig) -> list[str]:
    """Keys that differ, but for the options that training has read from the data and written down."""
    before, after = (OmegaConf.to_container(one, resolve=False) for one in (saved, tree))
    return [key for key in changed_keys(before, after, _FREE) if not (".options." in key and _absent(after, key))]


def _absent(tree: Any, key: str) -> bool:
    for part in key.split("."):
        if not isinstance(tree, dict) or part not in tree:
            return True
        tree = tree[part]
    return False
