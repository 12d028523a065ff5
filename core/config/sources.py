"""What the tasks of a source have from it, and what they must have in common."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from umbel.config.names import check_task_form
from umbel.contract.capabilities import Warps
from umbel.contract.errors import ConfigError
from umbel.contract.task_config import TaskConfig

SHARED = ("batch_size", "input_size", "workers")  # what the tasks of a source have from it


def hand_down(tree: DictConfig, where: str) -> DictConfig:
    """The tree in which the tasks of each source have from it their batch size, input size and workers.

    Args:
        tree: a recipe's, whose tasks are mappings; left as it is.
        where: the recipe, for errors.

    Raises:
        ConfigError: a task names no source there is, or states another value than its source; a source has no tasks.
    """
    sources = tree.get("sources") or {}
    if not isinstance(sources, Mapping):
        raise ConfigError(f"must map source names to sources, not {type(sources).__name__}", where=f"{where}: sources")
    changed = copy.deepcopy(tree)
    used = set()
    for task, config in changed.tasks.items():
        name = config.get("source")
        if name is None:
            continue
        if name not in sources:
            there = ", ".join(map(str, sources)) or "none; write sources: {NAME: {input_size: [H, W]}}"
            raise ConfigError(
                f"{name!r} is no source of this recipe", where=f"{where}: tasks.{task}.source", hint=f"sources: {there}"
            )
        used.add(name)
        _take_over(config, sources[name], f"{where}: tasks.{task}", str(name))
    for name in sources:
        _check_name(str(name), tree, where)
        if name not in used:
            raise ConfigError(
                "no task labels these images",
                where=f"{where}: sources.{name}",
                hint=f"write `source: {name}` in the tasks that do, or drop it: sources.{name}=null",
            )
    return changed


def check_tasks(tasks: Mapping[str, TaskConfig], kinds: Mapping[str, type[Any]], where: str) -> None:
    """Refuse tasks of one source that cannot see the same images.

    Args:
        tasks: typed, by name.
        kinds: the class of each.
        where: the recipe, for errors.

    Raises:
        ConfigError: a kind cannot move its labels along with an image, or tasks hold out different images.
    """
    first: dict[str, str] = {}
    for name, config in tasks.items():
        if config.source is None:
            continue
        if not issubclass(kinds[name], Warps):
            raise ConfigError(
                f"'{config.kind}' has no warp(target, geometry), by which labels follow an image that is varied for "
                "several tasks",
                where=f"{where}: tasks.{name}.source",
                hint="leave the source out: the task then reads and varies its images by itself",
            )
        other = first.setdefault(config.source, name)
        if config.holdout != tasks[other].holdout:
            raise ConfigError(
                f"is {config.holdout:g}, but {tasks[other].holdout:g} in tasks.{other} of the same source: what one "
                "validates on would be trained on by the other",
                where=f"{where}: tasks.{name}.holdout",
                hint="give all tasks of a source the same",
            )


def without_inherited(recipe: dict[str, Any]) -> dict[str, Any]:
    """A plain typed recipe, changed in place: its tasks without what they have from their source."""
    for task in recipe["tasks"].values():
        if task["source"] is not None:
            for key in SHARED:
                del task[key]
    return recipe


def drop_unused_sources(tree: DictConfig) -> None:
    """Take out of a recipe's tree, in place, the sources that no task names."""
    used = {task.get("source") for task in tree.tasks.values() if isinstance(task, DictConfig)}
    for name in list(tree.get("sources") or ()):
        if name not in used:
            del tree.sources[name]


def _check_name(name: str, tree: DictConfig, where: str) -> None:
    check_task_form(name, f"{where}: sources.{name}", "source")
    if name in tree.tasks:
        raise ConfigError("is the name of a task, too", where=f"{where}: sources.{name}", hint="rename one of them")


def _take_over(config: DictConfig, source: Any, where: str, name: str) -> None:
    given: Mapping[str, Any] = source if isinstance(source, DictConfig) else {}
    for key in SHARED:
        if key not in given:
            if key in config:
                raise ConfigError(
                    "is decided by the source, which all its tasks share",
                    where=f"{where}.{key}",
                    hint=f"write it in sources.{name}",
                )
            continue
        if key in config and config[key] != given[key]:
            raise ConfigError(
                f"is {config[key]}, but sources.{name}.{key} is {given[key]}: tasks of one source see the same images",
                where=f"{where}.{key}",
                hint="leave it out, or give the task a source or data of its own",
            )
        OmegaConf.update(config, key, given[key], force_add=True)
