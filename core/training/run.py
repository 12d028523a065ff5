"""A training run and everything in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch.utils.data import Dataset

from umbel.config.loaded_recipe import LoadedRecipe
from umbel.config.redact import Secrets
from umbel.config.schema import Recipe
from umbel.contract.task import Task
from umbel.contract.types import Sample
from umbel.data.datasets import dataset_length
from umbel.data.sources import SharedImages
from umbel.io.run_folder import CHECKPOINTS
from umbel.model.model import MultiTaskModel
from umbel.registry.plugins import Plugins
from umbel.report.collect import FigureCollector
from umbel.runtime.base import Runtime
from umbel.schedule.plan import Plan
from umbel.training.notify import Observers
from umbel.training.parts import Parts
from umbel.training.saving import Saver
from umbel.training.step_clock import StepClock
from umbel.training.work import mean_step_flops, participation


@dataclass(frozen=True)
class RunData:
    """Data sets of a run.

    Args:
        train: by name of each task that is trained: all but what a grown run keeps as it was.
        val: by task name.
        sources: the images that several of `train` label, by source name.
    """

    train: dict[str, Dataset[Sample]]
    val: dict[str, Dataset[Sample]]
    sources: dict[str, SharedImages] = field(default_factory=dict)


@dataclass(frozen=True)
class RunSchedule:
    """When what is trained.

    Args:
        plan: which tasks take part in which step.
        batches: number of batches in one pass over each task's data.
        epoch_steps: steps in which the longest task sees its data once.
        total_steps: length of the run.
    """

    plan: Plan
    batches: Mapping[str, float]
    epoch_steps: int
    total_steps: int


@dataclass
class Run:
    """One training run; observers see the part of it that `umbel.RunView` names.

    Args:
        directory: where it writes.
        loaded: its recipe, and the plugins it was built with.
        tasks: tasks by name.
        runtime: steps the model.
        data: what is trained and evaluated on.
        schedule: when what is trained.
        parts: what it must remember.
        saver: writes its checkpoints.
        observers: are told what happens.
        clock: where the time of the steps goes.
        collector: gathers the figures of the report in the last evaluation; None before it.
    """

    directory: Path
    loaded: LoadedRecipe
    tasks: dict[str, Task[Any]]
    runtime: Runtime
    data: RunData
    schedule: RunSchedule
    parts: Parts
    saver: Saver
    observers: Observers
    clock: StepClock = field(default_factory=StepClock)
    collector: FigureCollector | None = None

    @property
    def recipe(self) -> Recipe:
        return self.loaded.typed

    @property
    def tree(self) -> DictConfig:
        """The recipe as written, interpolations unresolved."""
        return self.loaded.tree

    @property
    def plugins(self) -> Plugins:
        return self.loaded.plugins

    @property
    def checkpoints(self) -> Path:
        return self.directory / CHECKPOINTS

    @cached_property
    def secrets(self) -> Secrets:
        """What the recipe takes from the environment, to be kept out of what is written down."""
        return Secrets.of(self.tree)

    @property
    def is_main_process(self) -> bool:
        """Whether this process prints and writes; of several that train together only rank 0 does."""
        return self.runtime.rank == 0

    @property
    def model(self) -> MultiTaskModel:
        return self.runtime.model

    @property
    def device(self) -> torch.device:
        return self.runtime.device

    @property
    def precision(self) -> str:
        return self.runtime.precision

    @property
    def world_size(self) -> int:
        return self.runtime.world_size

    @property
    def steps_done(self) -> int:
        return self.runtime.steps_done

    @property
    def total_steps(self) -> int:
        return self.schedule.total_steps

    @property
    def epoch_steps(self) -> int:
        return self.schedule.epoch_steps

    @property
    def log_every(self) -> int:
        return self.recipe.train.log_every

    @property
    def minutes(self) -> float:
        return self.parts.minutes.minutes

    @property
    def best(self) -> Mapping[str, list[float]]:
        return self.parts.best.values

    @property
    def samples(self) -> dict[str, int]:
        """Training samples of each task that is trained."""
        return {name: dataset_length(dataset) for name, dataset in self.data.train.items()}

    @property
    def val_samples(self) -> dict[str, int]:
        return {name: dataset_length(dataset) for name, dataset in self.data.val.items()}

    @property
    def images_per_step(self) -> dict[str, int]:
        return images_per_step(self.tasks, self.recipe, self.runtime.world_size)

    @property
    def seconds(self) -> dict[tuple[str, str], float]:
        return self.clock.seconds

    @property
    def timed_steps(self) -> int:
        return self.clock.steps

    @property
    def timed_shares(self) -> dict[str, float]:
        """Share of the timed steps that each trained task took part in."""
        start = self.steps_done - self.timed_steps
        return participation(self.schedule.plan, self.data.train, start, self.steps_done)

    def count_flops(self) -> float:
        """Operations of one device in a mean timed step, counted on a model without data."""
        return mean_step_flops(self.recipe, self.plugins, self.timed_shares)

    def recipe_text(self) -> str:
        """The recipe as it was written, in YAML."""
        return str(OmegaConf.to_yaml(self.tree, resolve=False))

    def redacted(self, value: Any) -> Any:
        """A value of JSON types without what the recipe takes from the environment."""
        return self.secrets.redact(value)


def images_per_step(tasks: Mapping[str, Task[Any]], recipe: Recipe, world_size: int) -> dict[str, int]:
    """Images of each task in a step that it takes part in, over all processes: with them the order of samples is the
    same."""
    parts = world_size * recipe.train.accumulate
    return {name: task.config.batch_size * parts for name, task in tasks.items()}
