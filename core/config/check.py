"""Holding a recipe against the schema of umbel and of the plugins that it uses, which makes it typed."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from umbel.config.deepspeed import check_block
from umbel.config.literals import literal
from umbel.config.merge import MERGE_ERRORS, merge, one_line
from umbel.config.names import check_task_form, check_task_name
from umbel.config.schema import Recipe
from umbel.config.sources import check_tasks, hand_down
from umbel.contract.errors import ConfigError
from umbel.contract.hooks import FIXED
from umbel.contract.task_config import TaskConfig
from umbel.registry.plugins import Plugins


def build_recipe(tree: DictConfig, plugins: Plugins, source: str) -> Recipe:
    """Check a merged tree against the schema of umbel and of every plugin it uses, and make it typed."""
    check_shell(tree, plugins, source)
    tree = hand_down(tree, source)
    schema = OmegaConf.structured(Recipe)
    origin, kinds = {}, {}
    for task, config in _tasks(tree, source).items():
        key = f"tasks.{task}"
        check_task_name(task, f"{source}: {key}")
        registration = plugins.find("task", str(config.kind), f"{source}: {key}.kind")
        origin[task] = f"{config.kind} from {registration.plugin.distribution}"
        schema.tasks[task] = OmegaConf.structured(TaskConfig)
        kinds[task] = registration.load()
        schema.tasks[task].options = OmegaConf.structured(kinds[task].Options)
    backbone = OmegaConf.select(tree, "backbone.name") or schema.backbone.name
    schema.backbone.options = OmegaConf.structured(
        plugins.backbone_class(str(backbone), f"{source}: backbone.name").Options
    )
    balancer = OmegaConf.select(tree, "train.balancer.name") or FIXED
    schema.train.balancer.options = OmegaConf.structured(
        plugins.balancer_class(str(balancer), f"{source}: train.balancer.name").Options
    )
    merged = merge(schema, tree, source)
    missing = sorted(OmegaConf.missing_keys(merged))
    if missing:
        raise ConfigError(f"missing value{'s' * (len(missing) > 1)}: {', '.join(missing)}", where=source)
    for task in origin:
        key = f"tasks.{task}.options"
        _to_object(OmegaConf.select(merged, key), f"{source}: {key} ({origin[task]})")
        _to_object(OmegaConf.select(merged, f"tasks.{task}"), f"{source}: tasks.{task} ({origin[task]})")
    for section in (
        "backbone.options",
        "backbone",
        "optim",
        "train.balancer.options",
        "train.balancer",
        "train",
        "growth",
        *(f"sources.{name}" for name in merged.sources),
    ):
        _to_object(OmegaConf.select(merged, section), f"{source}: {section}")
    recipe: Recipe = _to_object(merged, source)
    check_tasks(recipe.tasks, kinds, source)
    _check_deepspeed(recipe, source)
    return recipe


def check_shell(tree: DictConfig, plugins: Plugins, source: str) -> None:
    """Check a merged tree as far as umbel's own schema goes; options of plugins are left alone.

    Raises:
        ConfigError: naming the key.
    """
    schema = OmegaConf.structured(Recipe)
    for task, config in _tasks(tree, source).items():
        plugins.find("task", str(config.kind), f"{source}: tasks.{task}.kind")
        schema.tasks[task] = OmegaConf.structured(TaskConfig)
    backbone = OmegaConf.select(tree, "backbone.name") or schema.backbone.name
    plugins.find("backbone", str(backbone), f"{source}: backbone.name")
    balancer = OmegaConf.select(tree, "train.balancer.name") or FIXED
    if balancer != FIXED:  # which is there without any plugin
        plugins.find("balancer", str(balancer), f"{source}: train.balancer.name")
    merged = merge(schema, hand_down(tree, source), source)
    for section in (
        "optim",
        "growth",
        *(f"sources.{name}" for name in merged.sources),
        *(f"tasks.{task}" for task in schema.tasks),
        "train",
    ):
        if not OmegaConf.missing_keys(OmegaConf.select(merged, section)):
            _to_object(OmegaConf.select(merged, section), f"{source}: {section}")


def change_options(options: Any, changes: Mapping[str, Any], where: str) -> Any:
    """A copy of a task's typed options with some of them changed, checked as a recipe's are."""
    try:
        own = literal(asdict(options))
        merged = OmegaConf.merge(OmegaConf.structured(type(options)), own, literal(dict(changes)))
    except MERGE_ERRORS as error:
        raise ConfigError(one_line(error), where=where) from None
    return _to_object(merged, where)


def _tasks(tree: DictConfig, source: str) -> dict[str, DictConfig]:
    """The tasks of a tree, each of which names its kind."""
    tasks = tree.get("tasks") or {}
    if not isinstance(tasks, DictConfig) and tasks != {}:
        raise ConfigError(f"must map task names to tasks, not {type(tasks).__name__}", where=f"{source}: tasks")
    if not tasks:
        raise ConfigError("the recipe has no task", where=f"{source}: tasks", hint="add one: name: {kind: ...}")
    for task, config in ((str(name), config) for name, config in tasks.items()):
        check_task_form(task, f"{source}: tasks.{task}")
        if not isinstance(config, DictConfig) or OmegaConf.is_missing(config, "kind") or not config.get("kind"):
            raise ConfigError("missing value", where=f"{source}: tasks.{task}.kind", hint=_kind_hint(task, tasks))
    return {str(name): config for name, config in tasks.items()}


def _kind_hint(task: str, tasks: Mapping[Any, Any]) -> str:
    """A task without a kind may be another one's name, misspelt in an override."""
    others = [str(name) for name, other in tasks.items() if isinstance(other, DictConfig) and other.get("kind")]
    close = difflib.get_close_matches(task, others, n=1)
    return f"did you mean tasks.{close[0]}?" if close else "see `umbel plugins` for the kinds"


def _to_object(config: Any, where: str) -> Any:
    if config is None:
        raise ConfigError("is null; expected a mapping", where=where, hint="leave it out for the defaults")
    try:
        return OmegaConf.to_object(config)
    except OmegaConfBaseException as error:
        raise ConfigError(one_line(error), where=where) from None
    except (ValueError, TypeError) as error:
        raise ConfigError(str(error), where=where) from None


def _check_deepspeed(recipe: Recipe, source: str) -> None:
    try:
        check_block(recipe)
    except ConfigError as error:
        raise ConfigError(error.message, where=f"{source}: {error.where}", hint=error.hint) from None
