"""What the tasks of a source have from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from umbel.contract.errors import ConfigError

SHARED = ("batch_size", "input_size", "workers")  # what the tasks of a source have from it


def hand_down(tree: DictConfig, where: str) -> None:
    """Give the tasks of each source what they have from it: batch size, input size and workers, in place.

    Raises:
        ConfigError: a task names no source there is, or states another value than its source; a source has no tasks.
    """
    sources = tree.get("sources") or {}
    used = set()
    for task, config in (tree.get("tasks") or {}).items():
        name = config.get("source") if isinstance(config, DictConfig) else None
        if name is None:
            continue
        if name not in sources:
            there = ", ".join(map(str, sources)) or "none"
            raise ConfigError(
                f"{name!r} is no source of this recipe", where=f"{where}: tasks.{task}.source", hint=f"sources: {there}"
            )
        used.add(name)
        _take_over(config, sources[name], f"{where}: tasks.{task}", str(name))
    for name in sources:
        if name not in used:
            raise ConfigError(
                "no task labels these images",
                where=f"{where}: sources.{name}",
                hint=f"write `source: {name}` in the tasks that do, or remove it",
            )


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
