"""Building a whole run and trying one batch of every task, before any time is spent on training."""

from __future__ import annotations

import resource
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from umbel.config.deepspeed import wanted_precision
from umbel.config.loaded_recipe import LoadedRecipe
from umbel.contract.task import Task
from umbel.contract.types import Batch
from umbel.data.datasets import dataset_length
from umbel.data.loader import first_batch
from umbel.data.worker_counts import worker_counts
from umbel.evaluate.score import check_formula
from umbel.registry.calls.kernels import deterministic_task
from umbel.runtime.base import Runtime
from umbel.runtime.deterministic import deterministic_kernels
from umbel.training.prepare import prepare
from umbel.training.run import Run
from umbel.training.trial import try_batch, try_image


@dataclass(frozen=True)
class TaskReport:
    """One task's trial: counts, the loss of its first batch, and what the batch cost the second time: its own peak of
    memory on a GPU, that of the whole process so far on a CPU."""

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
    """The whole trial; `sources` says of each which images carry which labels."""

    tasks: list[TaskReport]
    parameters: int
    backbone_parameters: int
    precision: str
    device: str
    total_steps: int
    images_per_step: int
    workers: dict[str, int]
    sources: dict[str, str]


def preflight(loaded: LoadedRecipe) -> Preflight:
    """Build the run, then load, forward and backward one batch of each task and predict one validation image of it."""
    recipe = loaded.typed
    plain = replace(recipe, deepspeed=None, train=replace(recipe.train, precision=wanted_precision(recipe)))
    run = prepare(replace(loaded, typed=plain), Path("unused"), trial=False)
    run.runtime.model.train()
    substituted = {name for name, allowed in run.parts.bad_samples.allowed.items() if allowed > 0}
    with deterministic_kernels(recipe.train.deterministic):
        reports = [_try_task(run, name, name in substituted) for name in run.data.train]
        found = {name: try_image(run.runtime, task, run.data.val[name]) for name, task in run.tasks.items()}
    metrics = {f"{name}/{key}" for name, keys in found.items() for key in keys}
    check_formula(recipe.score, run.tasks, metrics)
    model = run.runtime.model
    configs = {name: run.tasks[name].config for name in run.data.train}
    return Preflight(
        tasks=reports,
        parameters=sum(p.numel() for p in model.parameters()),
        backbone_parameters=sum(p.numel() for p in model.backbone.parameters()),
        precision=run.runtime.precision,
        device=run.runtime.device.type,
        total_steps=run.total_steps,
        images_per_step=sum({config.source or name: config.batch_size for name, config in configs.items()}.values()),
        workers=worker_counts(configs, run.device.type),
        sources={name: source.text() for name, source in run.data.sources.items()},
    )


def _try_task(run: Run, name: str, substitute: bool) -> TaskReport:
    task, runtime, dataset = run.tasks[name], run.runtime, run.data.train[name]
    source = run.data.sources.get(task.config.source or "")
    batch = first_batch(task, dataset, run.recipe.train.seed, substitute=substitute, source=source)
    with deterministic_task(name):
        loss = try_batch(runtime, task, batch, norms={})
    seconds, peak = _measured(runtime, task, batch)
    samples = dataset_length(dataset)
    return TaskReport(
        task=name,
        train_samples=samples,
        val_samples=dataset_length(run.data.val[name]),
        batch_size=task.config.batch_size,
        image_shape=tuple(batch.images.shape),
        loss=float(loss),
        steps_per_epoch=(samples if source is None else len(source)) / task.config.batch_size,
        seconds=seconds,
        peak_mib=peak,
    )


def _measured(runtime: Runtime, task: Task[Any], batch: Batch) -> tuple[float, float]:
    """Seconds and peak MiB of a forward and backward pass that is not the first, which also allocates and chooses
    kernels. On a CPU the peak is that of the whole process up to now."""
    device = runtime.device
    if device.type == "cuda":
        torch.cuda.synchronize(device)  # what is still under way belongs to the pass before
        torch.cuda.reset_peak_memory_stats(device)
    started = time.perf_counter()
    try_batch(runtime, task, batch)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    seconds = time.perf_counter() - started
    if device.type == "cuda":
        return seconds, torch.cuda.max_memory_allocated(device) / 2**20
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
