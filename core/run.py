"""The composition root: from a recipe to tasks, model, data, runtime and observers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch.utils.data import Dataset

from umbel.calls.make import make
from umbel.checkpoint.read import find_checkpoint
from umbel.config import Recipe
from umbel.data.files import write_json
from umbel.data.loader import batches_per_pass, dataset_length, load_datasets
from umbel.data.presence import warn_of_absent_classes
from umbel.data.substitutes import BadSamples
from umbel.device import choose_device
from umbel.errors import ConfigError
from umbel.evaluation import scores_to_json
from umbel.growth.structure import hold_old
from umbel.guard import Guard
from umbel.learnt import write_learnt_options
from umbel.memory import keep_freed_memory
from umbel.metric_states import apart
from umbel.model import MultiTaskModel, build_model
from umbel.observers.unheard import Unheard
from umbel.optim import build_optimizer
from umbel.output import depend_on_run
from umbel.plugins import Plugins
from umbel.precision import choose_precision
from umbel.provenance import plugin_records
from umbel.randomness import keyed_seed
from umbel.ranks import ALONE, Ranks, join, launched
from umbel.report.collect import FigureCollector
from umbel.resume import resume as resume_run
from umbel.run_folder import (
    BAD_SAMPLES_FILE,
    CHECKPOINTS,
    PLUGINS_FILE,
    RECIPE_FILE,
    SCORES_FILE,
    run_folder,
    written_at_once,
)
from umbel.runtime.base import Runtime
from umbel.runtime.local import LocalRuntime
from umbel.runtime.zero_config import is_distributed, wanted_precision
from umbel.same_data import remember_data
from umbel.saving import Saver
from umbel.schedule.passes import steps_per_epoch
from umbel.schedule.plan import Plan, check_plan, make_plan
from umbel.schedule.stopping import EarlyStop
from umbel.score import check_formula
from umbel.secrets import Secrets
from umbel.shortage import allow_open_files
from umbel.signals import stop_signals
from umbel.task import Task
from umbel.timing import StepClock
from umbel.training import tell, train_to_end
from umbel.trial import Trial, try_model
from umbel.types import Sample

log = logging.getLogger(__name__)

Fill = Callable[[MultiTaskModel], None]


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


def build_tasks(recipe: Recipe, plugins: Plugins) -> dict[str, Task[Any]]:
    """Instances of the recipe's tasks, in its order."""
    return {
        name: make(
            plugins.find("task", config.kind, f"tasks.{name}.kind"), name, f"tasks.{name}", name, config, config.options
        )
        for name, config in recipe.tasks.items()
    }


def build(
    recipe: Recipe, plugins: Plugins, *, pretrained: bool, fill: Fill | None = None
) -> tuple[dict[str, Task[Any]], MultiTaskModel]:
    """Tasks and model, on the recipe's device; new weights are a function of the seed.

    Args:
        recipe: the typed recipe.
        plugins: where kinds and backbones are looked up.
        pretrained: load the weights that the backbone's options name; a checkpoint brings its own.
        fill: puts the weights of another run into the model.
    """
    tasks = build_tasks(recipe, plugins)
    trunk = plugins.find("backbone", recipe.backbone.name, "backbone.name")
    trunk.load()  # what its import draws must not move the weights
    torch.manual_seed(keyed_seed(recipe.train.seed, "backbone"))
    backbone = make(trunk, trunk.name, "backbone.name", recipe.backbone.options)
    loaded = backbone.load_pretrained() if pretrained else ""
    chosen = recipe.train.balancer
    balancing = plugins.balancer(chosen.name, "train.balancer.name")
    balancer = make(balancing, chosen.name, "train.balancer.name", chosen.options, tuple(tasks))
    model = build_model(backbone, tasks, recipe.train.seed, balancer)
    if fill is not None:
        fill(model)
    hold_old(model, recipe.growth, recipe.train.seed)
    if loaded:
        log.info("backbone: %s; %s", backbone.summary(), loaded)
    model.to(choose_device(recipe.train.device, launched()))
    if recipe.train.channels_last:
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return tasks, model


def build_runtime(
    recipe: Recipe, tasks: dict[str, Task[Any]], model: MultiTaskModel, steps: int, ranks: Ranks = ALONE
) -> Runtime:
    """The runtime of a recipe: DeepSpeed where several processes train or where the recipe has a `deepspeed:` block."""
    precision = choose_precision(wanted_precision(recipe), next(model.parameters()).device)
    optimizer = build_optimizer(model, tasks, recipe.optim)
    if not is_distributed(recipe, ranks):
        return LocalRuntime(model, optimizer, recipe.optim, recipe.train, precision, steps)
    if model.balancer.gradient_every:
        raise ConfigError(
            "measures gradients on the trunk, which DeepSpeed does not give between its own backward passes",
            where="train.balancer",
            hint="use loss_scale or uncertainty, or train in one process without a deepspeed block",
        )
    from umbel.runtime.deepspeed import DeepSpeedRuntime

    agreed = bool(ranks.agree(torch.tensor([precision == "bf16"], dtype=torch.int64))[0])
    return DeepSpeedRuntime(model, optimizer, recipe, "bf16" if agreed else "fp32", steps, ranks)


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
    if is_distributed(recipe, ranks):
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


@apart()  # a plugin's metric in a loss, an observer or a report must not wait for ranks that compute none
def train(run: Run, *, resume: bool = False, exact: bool = False, accept_changes: bool = False) -> dict[str, float]:
    """Train a prepared run to its end, evaluate it, and leave checkpoints and scores in its folder.

    Args:
        run: from `prepare`.
        resume: go on from the newest checkpoint in the run's folder.
        exact: with `resume`, never from an older one because the newest is damaged.
        accept_changes: with `resume`, go on with data that has changed; see `umbel.resume.resume`.

    Returns:
        The last scores, by "task/metric" and "score".

    Raises:
        InterruptedRunError: if a signal asked it to stop; a checkpoint has been saved.
    """
    depend_on_run()
    with run_folder(run, resume=resume):
        return _train(run, resume, exact, accept_changes)


def _train(run: Run, resume: bool, exact: bool, accept_changes: bool) -> dict[str, float]:
    tree = _as_trained(run)
    if resume:
        checkpoint = find_checkpoint(run.checkpoints, exact=exact)
        resume_run(run, checkpoint, tree, run.directory / RECIPE_FILE, accept=accept_changes)
    if run.leads:
        with written_at_once(run.directory):
            OmegaConf.save(tree, run.directory / RECIPE_FILE, resolve=False)
            write_json(run.directory / PLUGINS_FILE, run.secrets.conceal(plugin_records(run.plugins)))
        if not resume:
            remember_data(run)
            warn_of_absent_classes(run.tasks, run.train_data)
    hook = run.hook
    tell(run, lambda: hook.umbel_run_started(run=run))
    error: BaseException | None = None
    try:
        with stop_signals(launched=run.runtime.world_size > 1) as request:
            scores = train_to_end(run, request, resumed=resume)
        if run.leads:
            write_json(run.directory / SCORES_FILE, run.secrets.conceal(scores_to_json(scores)))
    except BaseException as caught:
        error = caught
        raise
    finally:
        if run.bad_samples.found and run.leads:
            log.warning("%d bad training samples; %s lists them", len(run.bad_samples.found), BAD_SAMPLES_FILE)
            write_json(run.directory / BAD_SAMPLES_FILE, run.secrets.conceal(run.bad_samples.to_json()))
        tell(run, lambda: hook.umbel_run_finished(run=run, error=error))
    return scores


def _as_trained(run: Run) -> DictConfig:
    """The recipe as written, plus what was decided for it: the precision, and what the tasks read from their data;
    interpolations stay unresolved."""
    tree = run.tree.copy()
    OmegaConf.update(tree, "train.precision", run.runtime.precision, force_add=True)
    write_learnt_options(tree, run.tasks)
    return tree
