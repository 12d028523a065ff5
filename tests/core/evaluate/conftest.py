"""A run whose task has views to compare."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tta_toys import VIEWED_RECIPE, ViewedPlugin

from umbel.config.load import load_recipe
from umbel.registry.plugins import Plugin, Plugins
from umbel.training.prepare import prepare
from umbel.training.run import Run


@pytest.fixture
def viewed_plugins() -> Plugins:
    plugins = Plugins()
    plugins.register(ViewedPlugin(), Plugin("toy-views", "1.0", "main"))
    return plugins


@pytest.fixture
def viewed_recipe(tmp_path: Path) -> Path:
    path = tmp_path / "viewed.yaml"
    path.write_text(VIEWED_RECIPE)
    return path


@pytest.fixture
def viewed(viewed_recipe: Path, viewed_plugins: Plugins, tmp_path: Path) -> Callable[..., Run]:
    """Builds the recipe with overrides; the weights are the same each time."""

    def make(*overrides: str) -> Run:
        loaded = load_recipe(str(viewed_recipe), overrides, viewed_plugins)
        return prepare(loaded, tmp_path / "unused")

    return make
