"""A recipe's model without data: tensors have shapes, so that what a run needs can be counted before it starts."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from umbel.config.build import build_tasks
from umbel.config.schema import Recipe
from umbel.contract.errors import ConfigError, UmbelError
from umbel.contract.task import Task
from umbel.model.flops import TaskFlops, pass_flops
from umbel.model.model import MultiTaskModel, build_model
from umbel.registry.make import make
from umbel.registry.plugins import Plugins
from umbel.runtime.build import freeze_kept


def build_empty(recipe: Recipe, plugins: Plugins) -> tuple[dict[str, Task[Any]], MultiTaskModel, FakeTensorMode]:
    """Tasks and model of a recipe whose weights have shapes and no data; the mode is to be on where they are used."""
    with torch.device("meta"):
        tasks = build_tasks(recipe, plugins)
        registration = plugins.find("backbone", recipe.backbone.name, "backbone.name")
        backbone = make(registration, recipe.backbone.options, name=registration.name, where="backbone.name")
        model = build_model(backbone, tasks, recipe.train.seed)
        freeze_kept(model, recipe)
    if recipe.train.channels_last:
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    fake = FakeTensorMode(allow_non_fake_inputs=True)
    with fake:
        model.to_empty(device="cpu")
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.grad = torch.empty_like(parameter)
    model.train()
    return tasks, model, fake


def empty_images(recipe: Recipe, task: Task[Any], count: int) -> Tensor:
    """(count, 3, H, W) uint8 as the task's loader gives them; without data where a FakeTensorMode is on."""
    layout = torch.channels_last if recipe.train.channels_last else torch.contiguous_format
    return torch.empty((count, 3, *task.config.input_size), dtype=torch.uint8).to(memory_format=layout)


def step_flops(recipe: Recipe, task: Task[Any], model: MultiTaskModel, fake: FakeTensorMode) -> TaskFlops:
    """What a task computes in an optimizer step on one device, its loss left out.

    Raises:
        ConfigError: for a head that cannot run without data.
    """
    try:
        with fake:
            counted = pass_flops(model, task.name, empty_images(recipe, task, task.config.batch_size))
    except UmbelError:
        raise
    except Exception as error:  # a head may do what only works on data
        raise without_data(task.name, error) from None
    return counted.times(recipe.train.accumulate)


def without_data(task: str, error: Exception) -> ConfigError:
    """The error of a task whose model does what only works on data."""
    return ConfigError(
        f"task '{task}' cannot run without data: {str(error).splitlines()[0] if str(error) else error!r}",
        where=f"tasks.{task}",
        hint="`umbel check` measures it on real data",
    )
