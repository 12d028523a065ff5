"""Building a whole run and trying one batch of every task, before any time is spent on training."""

from __future__ import annotations

import resource
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from omegaconf import DictConfig

from umbel.config import Recipe
from umbel.data.blame import blame
from umbel.data.loader import CompositeLoader, dataset_length
from umbel.errors import TrainingError
from umbel.evaluation import compute_scores
from umbel.inference import image_tensor, predict
from umbel.plugins import Plugins
from umbel.run import Run, prepare
from umbel.runtime.zero_config import wanted_precision
from umbel.score import check_formula
from umbel.types import Batch


@dataclass(frozen=True)
class TaskReport:
    """One task's trial: counts, the loss of its first batch, and what the batch cost."""

    task: str
    train_samples: int
    val_samples: int
    batch_size: int
    image_shape: tuple[int, ...]
    loss: float
    steps_per_epoch: float
    seconds: float
    peak_mib: float


@dataclass(frozen=True)
class Preflight:
    """The whole trial."""

    tasks: list[TaskReport]
    parameters: int
    backbone_parameters: int
    precision: str
    total_steps: int
    images_per_step: int


def preflight(recipe: Recipe, tree: DictConfig, plugins: Plugins) -> Preflight:
    """Build the run, then load, forward and backward one batch of each task and predict one validation image of it."""
    settings = replace(recipe.train, precision=wanted_precision(recipe))
    run = prepare(replace(recipe, train=settings, deepspeed=None), tree, plugins, Path("unused"))
    run.runtime.model.train()
    trained = {name: run.tasks[name] for name in run.train_data}
    first = next(iter(CompositeLoader(trained, run.train_data, recipe.train.seed, 0, 1, bad_samples=run.bad_samples)))
    reports = [_try_task(run, name, first[name]) for name in trained]
    metrics = {f"{name}/{key}" for name in run.tasks for key in _try_evaluation(run, name)}
    check_formula(recipe.score, run.tasks, metrics)
    model = run.runtime.model
    return Preflight(
        reports,
        sum(p.numel() for p in model.parameters()),
        sum(p.numel() for p in model.backbone.parameters()),
        run.runtime.precision,
        run.total_steps,
        sum(task.config.batch_size for task in trained.values()),
    )


def _try_task(run: Run, name: str, batch: Batch) -> TaskReport:
    task, runtime = run.tasks[name], run.runtime
    started = time.perf_counter()
    placed = runtime.place(batch)
    losses = task.loss(runtime.forward(placed.images, name), placed.targets)
    if not torch.isfinite(losses.total):
        raise TrainingError(
            f"the loss of task '{name}' is {float(losses.total.detach())} on its first batch",
            where=f"samples {', '.join(batch.ids[:4])}",
            hint="check these samples' labels",
        )
    runtime.backward(losses.total)
    seconds = time.perf_counter() - started
    runtime.model.zero_grad(set_to_none=True)
    samples = dataset_length(run.train_data[name])
    return TaskReport(
        name,
        samples,
        dataset_length(run.val_data[name]),
        task.config.batch_size,
        tuple(batch.images.shape),
        float(losses.total.detach()),
        samples / task.config.batch_size,
        seconds,
        _peak_mib(runtime.device),
    )


def _try_evaluation(run: Run, name: str) -> set[str]:
    """Names of the metrics of a task, computed on one validation image."""
    task, runtime = run.tasks[name], run.runtime
    with blame(name, 0):
        sample = run.val_data[name][0]
    with runtime.evaluating():
        metric = task.metric()
        image = image_tensor(sample.image, runtime.device)
        metric.update(predict(runtime.forward, task, [image], runtime.model.fill), [sample.target])
        return set(compute_scores(task, metric))


def _peak_mib(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
