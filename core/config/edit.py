"""The recipe of a grown run, from that of the run and that of the new tasks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf

from umbel.config.growth import ADAPTER
from umbel.config.inferred import write_inferred_backbone, write_inferred_options
from umbel.config.literals import literal
from umbel.config.sources import drop_unused_sources, without_inherited
from umbel.contract.errors import ConfigError
from umbel.contract.task import Task
from umbel.model.model import MultiTaskModel


def grown_tree(
    run: DictConfig, backbone: Mapping[str, Any], recipe: DictConfig, *, overrides: DictConfig, mode: str, source: str
) -> DictConfig:
    """Merge: the run's backbone and tasks, the recipe's new tasks and other sections, then the overrides.

    Tasks that the run has stay as the run has them, whatever the recipe says about them.

    Args:
        run: recipe of the run, as written.
        backbone: its backbone section, with every default.
        recipe: has the new tasks.
        overrides: applied last.
        mode: see `GrowthConfig`.
        source: the recipe, for errors.

    Returns:
        The tree.

    Raises:
        ConfigError: if the recipe adds no task, or asks for another backbone.
    """
    kept = [str(name) for name in run.tasks]
    added = [str(name) for name in recipe.get("tasks") or () if str(name) not in kept]
    if not added:
        raise ConfigError("adds no task", where=source, hint=f"the run has {', '.join(kept)} already")
    for key in _contradictions(_plain(recipe.get("backbone") or {}), backbone, "backbone"):
        raise ConfigError(
            "differs from the backbone that the run was trained with", where=f"{source}: {key}", hint="leave it out"
        )
    tree = run.copy()
    tasks = recipe._get_node("tasks")
    assert isinstance(tasks, DictConfig)
    for name in added:
        OmegaConf.update(tree, f"tasks.{name}", tasks._get_node(name), force_add=True)
    rest = {key: recipe._get_node(key) for key in recipe if key not in ("tasks", "backbone")}
    merged = OmegaConf.merge(tree, OmegaConf.create(rest), overrides)
    assert isinstance(merged, DictConfig)
    drop_unused_sources(merged)  # of tasks that stay as the run has them
    OmegaConf.update(merged, "growth.mode", mode, force_add=True)
    OmegaConf.update(merged, "growth.kept", kept, force_add=True)
    return merged


def keep_tasks(tree: DictConfig, names: Sequence[str]) -> DictConfig:
    """A copy of a recipe's tree with some of its tasks, balanced by their weights alone."""
    kept = tree.copy()
    for name in list(kept.tasks):
        if str(name) not in names:
            del kept.tasks[name]
    drop_unused_sources(kept)
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


def _recipe_of(tree: Any, model: MultiTaskModel, tasks: Mapping[str, Task[Any]]) -> Any:
    """The recipe with the exported tasks only, so that it builds exactly the exported weights."""
    kept = tree.copy()
    for task in list(kept.tasks):
        if task not in tasks:
            del kept.tasks[task]
    drop_unused_sources(kept)
    write_inferred_options(kept, tasks)
    write_inferred_backbone(kept, model.backbone)
    kept.pop("score", None)  # a formula may name a task that is gone
    return kept


# what may change between two parts of a run without changing what it computes
_FREE = re.compile(
    r"score|tasks\.\w+\.(workers|tta|tta_variants)|sources\.\w+\.workers"
    r"|train\.(device|log_every|eval_every|save_every|non_finite|non_finite_limit|bad_samples|timeout|collective_timeout"
    r"|keep_checkpoints|keep_every|save_async|save_failures)"
    r"|deepspeed\.(aio|comms_logger|csv_monitor|dump_state|flops_profiler|memory_breakdown|monitor_config"
    r"|steps_per_print|tensorboard|wall_clock_breakdown|wandb|zero_allow_untested_optimizer"
    r"|train_batch_size|train_micro_batch_size_per_gpu|gradient_accumulation_steps"  # these three follow the recipe
    r"|zero_optimization\.(stage|reduce_bucket_size|allgather_bucket_size|allgather_partitions|reduce_scatter"
    r"|contiguous_gradients|overlap_comm|round_robin_gradients|sub_group_size|offload_optimizer(\..*)?"
    r"|stage3_(max_live_parameters|max_reuse_distance|prefetch_bucket_size|param_persistence_threshold"
    r"|model_persistence_threshold)))"
)


def changed_keys(before: Any, after: Any, free: re.Pattern[str] = _FREE, prefix: str = "") -> Iterator[str]:
    """Dotted keys whose values differ between two plain trees, free ones left out: those that a run may change."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted(before.keys() | after.keys(), key=str):
            if not free.fullmatch(f"{prefix}{key}"):
                yield from changed_keys(before.get(key), after.get(key), free, f"{prefix}{key}.")
    elif before != after:
        yield prefix.rstrip(".")


def as_written(tree: DictConfig, typed: Any) -> DictConfig:
    """A typed recipe with its interpolations as the recipe has them: what the environment holds may be a secret.

    What tasks have from their source is left to it.

    Args:
        tree: the recipe as written.
        typed: the same with defaults, resolved.
    """
    plain = literal(without_inherited(asdict(typed)))
    for path, value in _interpolations(tree, ()):
        node: Any = plain
        for part in path[:-1]:
            node = node[part]
        node[path[-1]] = value
    written: DictConfig = OmegaConf.create(plain)
    return written


def _interpolations(node: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], str]]:
    for key in node if isinstance(node, DictConfig) else range(len(node)):
        child = node._get_node(key)
        if child._is_interpolation():
            yield (*path, key), child._value()
        elif isinstance(child, (DictConfig, ListConfig)) and not child._is_none() and not child._is_missing():
            yield from _interpolations(child, (*path, key))
