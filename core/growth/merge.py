"""The recipe of a grown run, from that of the run and that of the new tasks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from umbel.errors import ConfigError
from umbel.growth.config import ADAPTER


def grown_tree(
    run: DictConfig, trunk: Mapping[str, Any], recipe: DictConfig, overrides: DictConfig, mode: str, source: str
) -> DictConfig:
    """Merge: the run's trunk and tasks, the recipe's new tasks and other sections, then the overrides.

    Tasks that the run has stay as the run has them, whatever the recipe says about them.

    Args:
        run: recipe of the run, as written.
        trunk: its backbone section, with every default.
        recipe: has the new tasks.
        overrides: applied last.
        mode: see `GrowthConfig`.
        source: the recipe, for errors.

    Returns:
        The tree.

    Raises:
        ConfigError: if the recipe adds no task, or asks for another trunk.
    """
    kept = [str(name) for name in run.tasks]
    added = [str(name) for name in recipe.get("tasks") or () if str(name) not in kept]
    if not added:
        raise ConfigError("adds no task", where=source, hint=f"the run has {', '.join(kept)} already")
    for key in _contradictions(_plain(recipe.get("backbone") or {}), trunk, "backbone"):
        raise ConfigError(
            "differs from the trunk that the run was trained with", where=f"{source}: {key}", hint="leave it out"
        )
    tree = run.copy()
    tasks = recipe._get_node("tasks")
    assert isinstance(tasks, DictConfig)
    for name in added:
        OmegaConf.update(tree, f"tasks.{name}", tasks._get_node(name), force_add=True)
    rest = {key: recipe._get_node(key) for key in recipe if key not in ("tasks", "backbone")}
    merged = OmegaConf.merge(tree, OmegaConf.create(rest), overrides)
    assert isinstance(merged, DictConfig)
    OmegaConf.update(merged, "growth.mode", mode, force_add=True)
    OmegaConf.update(merged, "growth.kept", kept, force_add=True)
    return merged


def keep_tasks(tree: DictConfig, names: Sequence[str]) -> DictConfig:
    """A copy of a recipe's tree with some of its tasks, balanced by their weights alone."""
    kept = tree.copy()
    for name in list(kept.tasks):
        if str(name) not in names:
            del kept.tasks[name]
    if OmegaConf.select(kept, "train.balancer") is not None:
        del kept.train.balancer
    if OmegaConf.select(kept, "growth.mode") == ADAPTER:  # the adapters stay, and so does who runs without them
        kept.growth.kept = [name for name in kept.growth.kept if name in names]
    else:
        kept.pop("growth", None)
    return kept


def _contradictions(wanted: Any, had: Any, key: str) -> Iterator[str]:
    """Keys of `wanted` that `had` answers differently; where weights came from is no matter."""
    if isinstance(wanted, Mapping) and isinstance(had, Mapping):
        for name, value in wanted.items():
            if name != "weights":
                yield from _contradictions(value, had.get(name), f"{key}.{name}")
    elif wanted != had:
        yield key


def _plain(tree: Any) -> Any:
    return OmegaConf.to_container(tree, resolve=False) if OmegaConf.is_config(tree) else tree
