"""One batch and one validation image of every task, before any time is spent on training: `umbel check` reports them,
`umbel train` stops at what they show. Afterwards everything is as it was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils.data import Dataset

from umbel.config.deepspeed import wanted_precision
from umbel.config.schema import Recipe
from umbel.contract.balancer import Observes
from umbel.contract.capabilities import MakesCoco, MakesMasks
from umbel.contract.defaults import classes_of, drawn, filtered, json_of, reporter_of
from umbel.contract.errors import TrainingError
from umbel.contract.randomness import keyed_seed
from umbel.contract.task import Task
from umbel.contract.types import Batch, Sample
from umbel.data.loader import first_batch
from umbel.data.sample_errors import read_sample
from umbel.data.sources import SharedImages
from umbel.evaluate.evaluate import compute_scores
from umbel.evaluate.inference import image_tensor, predict
from umbel.evaluate.metric_states import apart
from umbel.evaluate.score import check_formula
from umbel.io.step_shortage import of_evaluation, of_step
from umbel.model.model import MultiTaskModel
from umbel.registry.calls.fallback import as_method
from umbel.registry.calls.fault import of_backward, of_samples, returned
from umbel.registry.calls.kernels import deterministic_task
from umbel.registry.calls.owner import owner_of
from umbel.report.record import figure_to_json
from umbel.runtime.base import Inference
from umbel.runtime.inference_model import InferenceModel
from umbel.runtime.precision import choose_precision
from umbel.schedule.plan import Plan
from umbel.training.balancing import gradient_norm
from umbel.training.restoring import restored


@dataclass(frozen=True)
class Trial:
    """What is tried.

    Args:
        recipe: the typed recipe.
        tasks: all tasks by name.
        train_data: training data by name of each task that is trained.
        val_data: validation data by task name.
        plan: which tasks take part in the first step.
        substituted: tasks in which samples that cannot be read give way to others.
        sources: the images that several of the tasks label, by source name.
    """

    recipe: Recipe
    tasks: Mapping[str, Task[Any]]
    train_data: Mapping[str, Dataset[Sample]]
    val_data: Mapping[str, Dataset[Sample]]
    plan: Plan
    substituted: frozenset[str] = frozenset()
    sources: Mapping[str, SharedImages] = field(default_factory=dict)


class Differentiable(Inference, Protocol):
    """What the trial of a training batch needs of a runtime."""

    def to_device(self, batch: Batch) -> Batch:
        """The batch on this runtime's device."""

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of a loss to those that there are."""


class _BareModel(InferenceModel):
    """The model without an optimizer, whose gradients are looked at and dropped."""

    def backward(self, loss: Tensor) -> None:
        loss.backward()  # type: ignore[no-untyped-call]


@apart()  # the trial of another rank may have ended
def try_model(model: MultiTaskModel, trial: Trial) -> None:
    """Stop at what a first step and a first evaluation would show; touches no other process, and starts none.

    Args:
        model: on its device, before a runtime wraps it: each of several processes tries it for itself.
        trial: what is tried.

    Raises:
        UmbelError: naming what is wrong. A loss that is not finite is passed over where the recipe says so.
    """
    recipe = trial.recipe
    precision = choose_precision(wanted_precision(recipe), next(model.parameters()).device)
    runtime = _BareModel(model, precision, channels_last=recipe.train.channels_last)
    with restored(model, trial.tasks.values()):
        model.train()
        torch.manual_seed(keyed_seed(recipe.train.seed, "step", 0, 0))  # the dropout of the first step
        losses: dict[str, Tensor] = {}
        norms: dict[str, Tensor] = {}
        for name, dataset in trial.train_data.items():
            task = trial.tasks[name]
            source = trial.sources.get(task.config.source or "")
            batch = first_batch(task, dataset, recipe.train.seed, substitute=name in trial.substituted, source=source)
            strict = recipe.train.non_finite == "stop" and name in trial.plan.at(0)
            with deterministic_task(name):
                losses[name] = try_batch(runtime, task, batch, norms=norms, strict=strict)
        if isinstance(model.balancer, Observes):
            model.balancer.observe(losses, norms)
        found = {name: try_image(runtime, task, trial.val_data[name]) for name, task in trial.tasks.items()}
        metrics = {f"{name}/{key}" for name, keys in found.items() for key in keys}
        check_formula(recipe.score, trial.tasks, metrics)


def try_batch(
    runtime: Differentiable,
    task: Task[Any],
    batch: Batch,
    *,
    norms: dict[str, Tensor] | None = None,
    strict: bool = True,
) -> Tensor:
    """Forward and backward of one batch, whose graph and gradients are freed again.

    Args:
        runtime: runs the model.
        task: the task.
        batch: of its training data.
        norms: gets the norm of the gradient on the backbone where the balancer measures it.
        strict: a loss that is not finite is an error.

    Returns:
        The loss, 0-dimensional, detached.

    Raises:
        TrainingError: it is not finite, or memory does not suffice.
    """
    with of_step(task.name, task.config.batch_size, task.config.input_size, "forward"), of_samples(batch.ids):
        placed = runtime.to_device(batch)
        total = task.loss(runtime.forward(placed.images, task.name), placed.targets).total
        if strict and not torch.isfinite(total):
            raise TrainingError(
                f"the loss of task '{task.name}' is {float(total.detach())} on its first batch",
                where=f"samples {', '.join(batch.ids[:4])}",
                hint="check these samples' labels",
            )
    balancer = runtime.model.balancer
    with of_step(task.name, task.config.batch_size, task.config.input_size, "backward"):
        if balancer.gradient_every and norms is not None:
            norms[task.name] = gradient_norm(total, runtime.model.backbone)
        weighted = balancer.balanced(task.name, total)
        if torch.isfinite(total) and strict and not torch.isfinite(weighted).all():
            what = f"{float(weighted.detach())} for the loss {float(total.detach())}"
            raise returned(owner_of(balancer), "balanced", what, "a finite loss", f"task '{task.name}'")
        with of_backward(task):
            runtime.backward(weighted)
    runtime.model.zero_grad(set_to_none=True)
    return total.detach()


def try_image(runtime: Inference, task: Task[Any], dataset: Dataset[Sample]) -> set[str]:
    """Predict the first validation image, score it, show it to the reporter, draw and write it as results are.

    Returns:
        Names of the task's metrics.
    """
    stored = read_sample(task, dataset, 0)
    sample = replace(stored, image=stored.image.copy())  # what is drawn into must not be the data set's own
    evaluation = of_evaluation(task.name, task.config.batch_size)
    with evaluation, runtime.eval_mode(), of_samples([sample.id]), deterministic_task(task.name):
        image = image_tensor(sample.image, runtime.device)
        (prediction,) = predict(runtime, task, [image])
        metric = task.metric()
        metric.update([prediction], [sample.target])
        names = set(compute_scores(task, metric))
        reporter = reporter_of(task)
        reporter.add(sample, prediction)
        for figure in reporter.figures():
            figure_to_json(figure)
        for shown in (prediction, sample.target):
            drawn(task, sample.image.copy(), shown)
        as_method(task, "to_json", json_of, filtered(task, prediction, 0.0, frozenset(classes_of(task))))
        if isinstance(task, MakesMasks):
            task.to_mask(prediction)
        if isinstance(task, MakesCoco):
            task.to_coco(prediction)
            task.coco_categories()
    return names
