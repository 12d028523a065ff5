"""From a recipe to its tasks."""

from __future__ import annotations

import dataclasses
from typing import Any

from umbel.config.check import change_options
from umbel.config.schema import Recipe
from umbel.contract.task import Task
from umbel.contract.task_config import TtaVariant
from umbel.registry.make import make, remake
from umbel.registry.plugins import Plugins


def build_tasks(recipe: Recipe, plugins: Plugins) -> dict[str, Task[Any]]:
    """Instances of the recipe's tasks, in its order."""
    return {
        name: make(
            plugins.find("task", config.kind, f"tasks.{name}.kind"),
            name,
            config,
            config.options,
            name=name,
            where=f"tasks.{name}",
        )
        for name, config in recipe.tasks.items()
    }


def with_variant(task: Task[Any], variant: TtaVariant) -> Task[Any]:
    """The task as a recipe with this variant's views and options would build it; ConfigError names a wrong option."""
    where = f"tasks.{task.name}.tta_variants: {variant.name}"
    options = change_options(task.options, variant.options, where)
    config = dataclasses.replace(task.config, tta=variant.tta, options=options)
    return remake(task, task.name, config, options)
