"""The composition root: from a recipe to tasks, model, data, runtime and observers."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch.utils.data import Dataset

from umbel.balancing.balancer import factors_text
from umbel.balancing.config import FIXED
from umbel.checkpoint.read import find_checkpoint
from umbel.config import Recipe
from umbel.data.files import write_json
from umbel.data.interruptible import Interruptible
from umbel.data.loader import CompositeLoader, batches_per_pass, dataset_length, load_datasets
from umbel.data.substitutes import BadSamples
from umbel.device import choose_device
from umbel.engine import fit
from umbel.errors import ConfigError, InterruptedRunError
from umbel.evaluation import evaluate, scores_to_json
from umbel.guard import Guard
from umbel.memory import keep_freed_memory
from umbel.model import MultiTaskModel, build_model
from umbel.observers.unheard import Unheard
from umbel.optim import build_optimizer
from umbel.plugins import Plugins
from umbel.precision import choose_precision
from umbel.provenance import plugin_records
from umbel.randomness import keyed_seed
from umbel.ranks import ALONE, Ranks, join, launched
from umbel.report.collect import FigureCollector
from umbel.resume import resume as resume_run
from umbel.runtime.base import Runtime
from umbel.runtime.local import LocalRuntime
from umbel.runtime.zero_config import is_distributed, wanted_precision
from umbel.saving import save
from umbel.schedule.passes import passes_text, steps_per_epoch
from umbel.schedule.plan import Plan, check_plan, make_plan
from umbel.schedule.stopping import EarlyStop
from umbel.score import check_formula
from umbel.signals import StopRequest, StopRequestedError, stop_signals
from umbel.task import Task
from umbel.timing import StepClock
from umbel.types import Losses, Sample

log = logging.getLogger(__name__)

RECIPE_FILE = "recipe.yaml"
SCORES_FILE = "scores.json"
PLUGINS_FILE = "plugins.json"
BAD_SAMPLES_FILE = "bad_samples.json"
CHECKPOINTS = "checkpoints"


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
        train_data: training data by task name.
        val_data: validation data by task name.
        plan: which tasks take part in which step.
        batches: number of batches in one pass over each task's data.
        early_stop: judges whether the run may end before its last step.
        epoch_steps: steps in which the longest task sees its data once.
        total_steps: length of the run.
        guard: what happens to steps that are not finite, and how many there were.
        best: best value so far by score key, and the step it was reached at.
        evaluated: no evaluation of the present step is outstanding.
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
    failed_saves: int = 0
    complaints: set[str] = field(default_factory=set)
    minutes: float = 0.0
    clock: StepClock = field(default_factory=StepClock)
    bad_samples: BadSamples = field(default_factory=BadSamples)
    collector: FigureCollector | None = None

    @property
    def checkpoints(self) -> Path:
        return self.directory / CHECKPOINTS

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
    tasks = {}
    for name, config in recipe.tasks.items():
        task_class = plugins.task_class(config.kind, f"tasks.{name}.kind")
        try:
            tasks[name] = task_class(name, config, config.options)
        except TypeError as error:
            if "abstract" not in str(error):
                raise
            raise ConfigError(f"kind '{config.kind}' is incomplete: {error}", where=f"tasks.{name}") from None
    return tasks


def build(recipe: Recipe, plugins: Plugins, *, pretrained: bool) -> tuple[dict[str, Task[Any]], MultiTaskModel]:
    """Tasks and model, on the recipe's device; new weights are a function of the seed.

    Args:
        recipe: the typed recipe.
        plugins: where kinds and backbones are looked up.
        pretrained: load the weights that the backbone's options name; a checkpoint brings its own.
    """
    tasks = build_tasks(recipe, plugins)
    backbone_class = plugins.backbone_class(recipe.backbone.name, "backbone.name")
    torch.manual_seed(keyed_seed(recipe.train.seed, "backbone"))
    backbone = backbone_class(recipe.backbone.options)  # type: ignore[call-arg]
    loaded = backbone.load_pretrained() if pretrained else ""
    chosen = recipe.train.balancer
    balancer = plugins.balancer_class(chosen.name, "train.balancer.name")(chosen.options, tuple(tasks))
    model = build_model(backbone, tasks, recipe.train.seed, balancer)
    if loaded:
        log.info("backbone: %s; %s", backbone.summary(), loaded)
    model.to(choose_device(recipe.train.device, launched()))
    if recipe.train.channels_last:
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return tasks, model


def build_runtime(
    recipe: Recipe, tasks: dict[str, Task[Any]], model: MultiTaskModel, steps: int, ranks: Ranks = ALONE
) -> Runtime:
    """The runtime of a recipe, in its measured or stated precision: DeepSpeed where several processes train, or where
    the recipe has a `deepspeed:` block."""
    largest = max(tasks.values(), key=lambda task: task.config.input_size[0] * task.config.input_size[1])
    precision = choose_precision(wanted_precision(recipe), model, largest, recipe.train.channels_last)
    optimizer = build_optimizer(model, tasks, recipe.optim)
    if not is_distributed(recipe, ranks):
        return LocalRuntime(model, optimizer, recipe.optim, recipe.train, precision, steps)
    from umbel.runtime.deepspeed import DeepSpeedRuntime

    agreed = bool(ranks.agree(torch.tensor([precision == "bf16"], dtype=torch.int64))[0])
    return DeepSpeedRuntime(model, optimizer, recipe, "bf16" if agreed else "fp32", steps, ranks)


def prepare(recipe: Recipe, tree: DictConfig, plugins: Plugins, directory: Path) -> Run:
    """Build everything a training run needs; writes nothing."""
    check_formula(recipe.score, recipe.tasks)
    keep_freed_memory()
    ranks = launched()
    if is_distributed(recipe, ranks):
        join(ranks, choose_device(recipe.train.device, ranks), recipe.train.timeout)
    tasks, model = build(recipe, plugins, pretrained=True)
    train_data = load_datasets(tasks, "train", defer=recipe.train.bad_samples > 0)
    val_data = load_datasets(tasks, "val")
    lengths = {name: dataset_length(dataset) for name, dataset in train_data.items()}
    bad_samples = BadSamples.within(recipe.train.bad_samples, lengths)
    batches = batches_per_pass(tasks, train_data, world_size=ranks.world_size * recipe.train.accumulate)
    plan = make_plan(recipe.tasks, recipe.train.schedule, batches, recipe.train.seed)
    epoch_steps = steps_per_epoch(plan, batches)
    steps = recipe.train.steps if recipe.train.steps is not None else max(1, round(recipe.train.epochs * epoch_steps))
    check_plan(plan, steps)
    early_stop = EarlyStop(recipe.train.early_stop, plan.windows)
    runtime = build_runtime(recipe, tasks, model, steps, ranks)
    guard = Guard(recipe.train.non_finite, recipe.train.non_finite_limit)
    return Run(
        directory, recipe, tree, plugins, tasks, runtime, train_data, val_data,
        plan, batches, early_stop, epoch_steps, steps, guard, bad_samples=bad_samples,
    )  # fmt: skip


def train(run: Run, *, resume: bool = False, exact: bool = False) -> dict[str, float]:
    """Train a prepared run to its end, evaluate it, and leave checkpoints and scores in its folder.

    Args:
        run: from `prepare`.
        resume: go on from the newest checkpoint in the run's folder.
        exact: with `resume`, never from an older one because the newest is damaged.

    Returns:
        The last scores, by "task/metric" and "score".

    Raises:
        InterruptedRunError: if a signal asked it to stop; a checkpoint has been saved.
    """
    tree = _with_learnt_options(run)
    if resume:
        resume_run(run, find_checkpoint(run.checkpoints, exact=exact), tree, run.directory / RECIPE_FILE)
    if run.leads:
        run.directory.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(tree, run.directory / RECIPE_FILE, resolve=False)
        write_json(run.directory / PLUGINS_FILE, plugin_records(run.plugins))
    hook = run.hook
    hook.umbel_run_started(run=run)
    error: BaseException | None = None
    try:
        with stop_signals() as request:
            scores = _train(run, request, resumed=resume)
        if run.leads:
            write_json(run.directory / SCORES_FILE, scores_to_json(scores))
    except BaseException as caught:
        error = caught
        raise
    finally:
        if run.bad_samples.found:
            log.warning("%d bad training samples; %s lists them", len(run.bad_samples.found), BAD_SAMPLES_FILE)
            write_json(run.directory / BAD_SAMPLES_FILE, run.bad_samples.to_json())
        hook.umbel_run_finished(run=run, error=error)
    return scores


def _train(run: Run, request: StopRequest, *, resumed: bool) -> dict[str, float]:
    scores: dict[str, float] = {}
    before, started = run.minutes, time.perf_counter()
    config, start = run.recipe.train, run.runtime.steps_done
    hook = run.hook

    def stop(signal: str, step: int) -> None:
        raise InterruptedRunError(
            f"{signal} after step {step} of {run.total_steps}; a checkpoint is saved",
            where=str(run.directory),
            hint="go on with --resume",
        )

    def border(step: int, *, evaluation_due: bool, save_due: bool, again: bool = False) -> bool:
        """Between two steps: evaluate, save, stop if a signal asks for it; whether the scores end the run."""
        signal, scored = request.agreed(run.runtime), False
        run.minutes = before + (time.perf_counter() - started) / 60
        if evaluation_due and not signal:
            try:
                scores.update(_evaluate(run, step, request))
                scored = True
            except StopRequestedError:
                pass
            except Exception:  # a metric that fails must not cost the training before it
                if run.runtime.world_size == 1:  # other ranks may be anywhere in the evaluation
                    save(run, step, None, evaluated=False, needed=True)
                raise
            signal = request.agreed(run.runtime)
            run.minutes = before + (time.perf_counter() - started) / 60
        ended = scored and not again and run.early_stop.update(_main_scores(run, scores), step)
        done = ended or step == run.total_steps
        if evaluation_due or save_due or signal:
            missing = evaluation_due and not scored
            save(run, step, scores if scored else None, evaluated=not missing, needed=done or bool(signal))
            if not run.failed_saves:
                signal = signal or request.agreed(run.runtime)  # it may have come meanwhile
        if signal and not (done and scored):
            stop(signal, step)
        return ended

    def after_step(step: int, losses: dict[str, Losses], lr: float) -> bool:
        _tell(run, lambda: hook.umbel_step_finished(run=run, step=step, losses=losses, lr=lr))
        evaluation_due = step == run.total_steps or bool(config.eval_every and step % config.eval_every == 0)
        save_due = bool(config.save_every and step % config.save_every == 0)
        return border(step, evaluation_due=evaluation_due, save_due=save_due)

    signal = request.agreed(run.runtime)
    if signal:  # it came while the run was prepared
        if not resumed:
            save(run, start, None, evaluated=True, needed=True)
        stop(signal, start)
    if not run.evaluated:
        border(start, evaluation_due=True, save_due=False)
    if not run.early_stop.reason:
        log.info("plan of %d steps: %s", run.total_steps, passes_text(run.plan, run.batches, run.total_steps))
        fit(
            run.runtime,
            run.tasks,
            CompositeLoader(
                run.tasks, run.train_data, config.seed, start, run.total_steps,
                run.runtime.rank, run.runtime.world_size, run.bad_samples, run.plan, config.accumulate,
            ),
            seed=config.seed,
            start=start,
            after_step=after_step,
            guard=run.guard,
            clock=run.clock,
            accumulate=config.accumulate,
        )  # fmt: skip
    done = run.runtime.steps_done
    if run.early_stop.reason:
        log.info("ended at step %d of %d: %s", done, run.total_steps, run.early_stop.reason)
    log.info("in %d steps: %s", done, passes_text(run.plan, run.batches, done))
    if config.balancer.name != FIXED:
        log.info("factors of '%s' at the end: %s", config.balancer.name, factors_text(run.runtime.model.balancer))
    if not scores:
        border(done, evaluation_due=True, save_due=False, again=True)
    return scores


def _with_learnt_options(run: Run) -> DictConfig:
    """The recipe as written, plus what the tasks read from their data; interpolations stay unresolved."""
    tree = run.tree.copy()
    for name, task in run.tasks.items():
        for key, value in task.learnt_options().items():
            OmegaConf.update(tree, f"tasks.{name}.options.{key}", value, force_add=True)
    return tree


def _main_scores(run: Run, scores: Mapping[str, float]) -> dict[str, float]:
    return {name: scores[f"{name}/{task.main_metric}"] for name, task in run.tasks.items()}


def _evaluate(run: Run, step: int, request: StopRequest) -> dict[str, float]:
    if step == run.total_steps or run.recipe.train.early_stop.on != "none":  # it may be the last
        run.collector = FigureCollector(run.tasks)
    data: dict[str, Dataset[Sample]] = run.val_data
    if run.runtime.world_size == 1:  # several ranks finish it: one alone must not leave
        data = {name: Interruptible(dataset, request) for name, dataset in data.items()}
    scores = evaluate(run.runtime, run.tasks, data, run.recipe.score, run.collector)
    _tell(run, lambda: run.hook.umbel_evaluated(run=run, step=step, scores=scores))
    return scores


def _tell(run: Run, call: Callable[[], object]) -> None:
    """Tell the observers; one that cannot write, as on a full disk, costs a warning and not the training."""
    try:
        call()
    except OSError as error:
        if str(error) not in run.complaints:
            run.complaints.add(str(error))
            log.warning("an observer cannot write: %s; training goes on", error)
