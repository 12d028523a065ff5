"""What tasks and backbone read from data or weights, written into a recipe so that neither is needed again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from umbel.config.literals import literal
from umbel.config.redact import Secrets
from umbel.contract.backbone import Backbone
from umbel.contract.defaults import inferred_options_of
from umbel.contract.errors import ConfigError
from umbel.contract.task import Task


def write_inferred_options(tree: DictConfig, tasks: Mapping[str, Task[Any]]) -> None:
    """Put the inferred options of tasks into a recipe's tree; interpolations of the recipe stay unresolved.

    Every text is literal, but for what the task's own options take from the environment: that stays an interpolation.

    Args:
        tree: the recipe as written; changed in place.
        tasks: by name; the tree has them.

    Raises:
        ConfigError: for a text that no recipe can hold.
    """
    for name, task in tasks.items():
        secrets = Secrets.of(tree)
        for key, value in inferred_options_of(task).items():
            where = f"tasks.{name}.options.{key}"
            try:
                OmegaConf.update(tree, where, secrets.as_recipe(value), merge=False, force_add=True)
            except ConfigError as error:
                error.where = error.where or where
                raise


def write_inferred_backbone(tree: DictConfig, backbone: Backbone) -> None:
    """The same of a backbone."""
    for key, value in backbone.inferred_options().items():
        OmegaConf.update(tree, f"backbone.options.{key}", literal(value), merge=False, force_add=True)
