"""A recipe that has been read: typed, as it was written, and the plugins that it was checked with."""

from __future__ import annotations

from dataclasses import dataclass

from omegaconf import DictConfig

from umbel.config.schema import Recipe
from umbel.registry.plugins import Plugins


@dataclass(frozen=True)
class LoadedRecipe:
    """What always travels together.

    Args:
        typed: checked values.
        tree: as written, interpolations unresolved.
        plugins: where its kinds, backbones and balancers are looked up.
    """

    typed: Recipe
    tree: DictConfig
    plugins: Plugins
