"""What observers see of the ranks that do not lead: nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch.utils.data import Dataset

from umbel.checkpoint.async_save import Background
from umbel.checkpoint.save_job import Outcome
from umbel.checkpoint.snapshot import Snapshot
from umbel.config.redact import Secrets
from umbel.config.schema import Recipe
from umbel.contract.task import Task
from umbel.contract.types import Sample
from umbel.data.bad_samples import BadSamples
from umbel.data.datasets import dataset_length
from umbel.io.run_folder import CHECKPOINTS
from umbel.model.model import MultiTaskModel
from umbel.registry.plugins import Plugins
from umbel.report.collect import FigureCollector
from umbel.runtime.base import Runtime
from umbel.schedule.early_stop import EarlyStop
from umbel.schedule.plan import Plan
from umbel.training.guard import Guard
from umbel.training.step_clock import StepClock


class Unheard:
    """Takes the place of the hooks: every call is answered by nobody."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda **_: None


@dataclass
class Saver:
    """What the saves of a run share: the memory of their copies, and the save under way."""

    snapshot: Snapshot = field(default_factory=Snapshot)
    pending: Pending | None = None


@dataclass
class Run:
    """One training run and everything in it; observers get this object.

    Attributes:
        directory: where it writes.
        recipe: typed recipe.
        tree: the recipe as written, interpolations unresolved.
        plugins: the plugins it was built with.
        tasks: tasks by name.
        runtime: steps the model.
        train_data: training data by name of each task that is trained: all but what a grown run keeps as it was.
        val_data: validation data by task name.
        plan: which tasks take part in which step.
        batches: number of batches in one pass over each task's data.
        early_stop: judges whether the run may end before its last step.
        epoch_steps: steps in which the longest task sees its data once.
        total_steps: length of the run.
        guard: what happens to steps that are not finite, and how many there were.
        best: best value so far by score key, and the step it was reached at; of what has been saved.
        evaluated: no evaluation of the present step is outstanding.
        saver: the save under way, if one is.
        failed_saves: saves that the disk has refused since the last that went well.
        complaints: what observers could not do, so that it is said once.
        minutes: training time so far, evaluations included, resumed parts added up.
        clock: where the time of the steps goes.
        bad_samples: training samples that could not be read and were replaced.
        collector: gathers the figures of the report in the last evaluation; None before it.
    """

    directory: Path
    recipe: Recipe
    tree: DictConfig
    plugins: Plugins
    tasks: dict[str, Task[Any]]
    runtime: Runtime
    train_data: dict[str, Dataset[Sample]]
    val_data: dict[str, Dataset[Sample]]
    plan: Plan
    batches: dict[str, float]
    early_stop: EarlyStop
    epoch_steps: int
    total_steps: int
    guard: Guard
    best: dict[str, list[float]] = field(default_factory=dict)
    evaluated: bool = True
    saver: Saver = field(default_factory=Saver)
    failed_saves: int = 0
    complaints: set[str] = field(default_factory=set)
    minutes: float = 0.0
    clock: StepClock = field(default_factory=StepClock)
    bad_samples: BadSamples = field(default_factory=BadSamples)
    collector: FigureCollector | None = None

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
    def log_every(self) -> int:
        return self.recipe.train.log_every

    @property
    def samples(self) -> dict[str, int]:
        """Training samples of each task that is trained."""
        return {name: dataset_length(dataset) for name, dataset in self.train_data.items()}

    @property
    def val_samples(self) -> dict[str, int]:
        return {name: dataset_length(dataset) for name, dataset in self.val_data.items()}

    @property
    def images_per_step(self) -> dict[str, int]:
        """Images of each task in a step that it takes part in, over all processes and parts of the step."""
        parts = self.runtime.world_size * self.recipe.train.accumulate
        return {name: task.config.batch_size * parts for name, task in self.tasks.items()}

    @property
    def seconds(self) -> dict[tuple[str, str], float]:
        return self.clock.seconds

    @property
    def timed_steps(self) -> int:
        return self.clock.steps

    def recipe_text(self) -> str:
        """The recipe as it was written, in YAML."""
        return str(OmegaConf.to_yaml(self.tree, resolve=False))

    def redacted(self, value: Any) -> Any:
        """A value of JSON types without what the recipe takes from the environment."""
        return self.secrets.conceal(value)

    @property
    def checkpoints(self) -> Path:
        return self.directory / CHECKPOINTS

    @cached_property
    def secrets(self) -> Secrets:
        """What the recipe takes from the environment, to be kept out of what is written down."""
        return Secrets.of(self.tree)

    @property
    def leads(self) -> bool:
        """Whether this process prints and writes; of several that train together only rank 0 does."""
        return self.runtime.rank == 0

    @property
    def hook(self) -> Any:
        """Calls the observers, on the rank that leads."""
        return self.plugins.manager.hook if self.leads else Unheard()


@dataclass
class Pending:
    """A save whose outcome the ranks have not agreed on.

    Args:
        best: what is best if it goes well.
        writing: what it comes to; None where this rank writes nothing.
    """

    best: dict[str, list[float]]
    writing: Background | Outcome | None = None

    def result(self) -> Outcome:
        """What kept it from being written: its weights, or the disk."""
        if isinstance(self.writing, Background):
            return self.writing.result()
        return self.writing or (None, None)


def best_pointers(run: Run) -> dict[str, str]:
    """Which score each `best` pointer follows."""
    return {f"best-{name}": f"{name}/{task.main_metric}" for name, task in run.tasks.items()} | {"best": "score"}
