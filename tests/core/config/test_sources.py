"""Sources of a recipe: what their tasks have from them, what is refused, and how it reads when written again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from file_tasks import FileTask
from omegaconf import OmegaConf
from toys import BrightTask, TinyBackbone

from umbel import Backbone, Task, hookimpl
from umbel.config.edit import as_written, keep_tasks
from umbel.config.load import check_recipe, load_recipe
from umbel.config.loaded_recipe import LoadedRecipe
from umbel.contract.errors import ConfigError
from umbel.registry.plugins import Plugins
from umbel.registry.registration import Plugin

RECIPE = """
backbone: {name: tiny}
sources:
  street: {batch_size: 5, input_size: [16, 24], workers: 0, augment: {rotation: 5}}
tasks:
  road: {kind: file, source: street, options: {files: [a]}}
  cars: {kind: file, source: street, options: {files: [b]}}
  other: {kind: bright, input_size: [32, 48], options: {count: 12}}
train: {steps: 3}
"""


class FilePlugin:
    @hookimpl
    def umbel_tasks(self) -> dict[str, type[Task[Any]]]:
        return {"bright": BrightTask, "file": FileTask}

    @hookimpl
    def umbel_backbones(self) -> dict[str, type[Backbone]]:
        return {"tiny": TinyBackbone}


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., LoadedRecipe]:
    plugins = Plugins()
    plugins.register(FilePlugin(), Plugin("files", "1", "files"))

    def go(*overrides: str, text: str = RECIPE) -> LoadedRecipe:
        path = tmp_path / "recipe.yaml"
        path.write_text(text)
        return load_recipe(str(path), overrides, plugins)

    return go


def test_tasks_have_from_their_source_what_they_share(load: Callable[..., LoadedRecipe]) -> None:
    typed = load().typed
    for name in ("road", "cars"):
        task = typed.tasks[name]
        assert (task.source, task.batch_size, task.input_size, task.workers) == ("street", 5, (16, 24), 0)
    assert typed.tasks["other"].source is None
    street = typed.sources["street"]
    assert (street.augment.rotation, street.augment.hflip, street.keep_ratio) == (5.0, 0.5, True)
    assert load("sources.street.batch_size=2").typed.tasks["cars"].batch_size == 2
    assert "batch_size" not in load().tree.tasks.road  # the recipe stays as it was written


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["tasks.road.batch_size=4"], r"tasks\.road\.batch_size: is 4, but sources\.street\.batch_size is 5"),
        (["tasks.cars.input_size=[8,8]"], r"tasks\.cars\.input_size: is \[8, 8\], but sources\.street\.input_size"),
        (["tasks.road.source=strt"], r"tasks\.road\.source: 'strt' is no source of this recipe \(sources: street\)"),
        (["tasks.road=null", "tasks.cars=null"], r"sources\.street: no task labels these images"),
        (
            ["tasks.other.source=street", "tasks.other.input_size=[16,24]"],
            r"tasks\.other\.source: 'bright' has no warp",
        ),
        (["tasks.road.holdout=0.2"], r"tasks\.cars\.holdout: is 0, but 0\.2 in tasks\.road"),
        (["sources.cars.input_size=[8,8]"], r"sources\.cars: is the name of a task, too"),
        (["sources.Big.input_size=[8,8]"], r"source name 'Big' is not of the form"),
        (["sources.none=null"], r"sources\.none: there is no source 'none' to drop \(sources: street\)"),
        (["sources.street.augment.rotation=400"], r"sources\.street: rotation is 400\.0; it must lie in 0\.\.180"),
        (["sources.street.augment.scale=[2,1]"], r"sources\.street: scale is \[2\.0, 1\.0\]"),
        (["sources.street.workers=many"], r"sources\.street: workers is 'many'; expected auto"),
        (["sources.street.batch_size=0"], r"batch_size is 0; it must lie in"),
        (["sources.street.colour=1"], r"Key 'colour' not in 'SourceConfig'"),
    ],
)
def test_what_cannot_be_is_refused_by_its_key(
    load: Callable[..., LoadedRecipe], overrides: list[str], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        load(*overrides)


def test_what_only_the_source_says_is_not_said_by_a_task(load: Callable[..., LoadedRecipe]) -> None:
    text = RECIPE.replace("workers: 0, ", "")
    with pytest.raises(ConfigError, match=r"tasks\.road\.workers: is decided by the source"):
        load("tasks.road.workers=2", text=text)
    with pytest.raises(ConfigError, match=r"missing value.*sources\.street\.input_size"):
        load(text=RECIPE.replace("input_size: [16, 24], ", ""))


def test_a_recipe_is_checked_before_its_kinds_are_imported(tmp_path: Path, load: Callable[..., LoadedRecipe]) -> None:
    plugins = load().plugins
    path = str(tmp_path / "recipe.yaml")
    check_recipe(path, (), plugins)
    for override in ("tasks.road.source=strt", "sources.street.augment.rotation=400"):
        with pytest.raises(ConfigError, match=r"strt|rotation"):
            check_recipe(path, (override,), plugins)


def test_shown_recipe_is_read_alike(load: Callable[..., LoadedRecipe], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGES", "5")
    text = RECIPE.replace("batch_size: 5", "batch_size: '${oc.env:IMAGES}'")
    loaded = load(text=text)
    shown = OmegaConf.to_yaml(as_written(loaded.tree, loaded.typed))
    assert "${oc.env:IMAGES}" in shown
    assert load(text=shown).typed == loaded.typed
    monkeypatch.setenv("IMAGES", "3")
    assert load(text=shown).typed.tasks["cars"].batch_size == 3


def test_tasks_and_sources_are_dropped_together(load: Callable[..., LoadedRecipe]) -> None:
    alone = load("tasks.road=null", "tasks.cars=null", "sources.street=null").typed
    assert (list(alone.tasks), alone.sources) == (["other"], {})
    tree = load().tree
    assert "sources" not in keep_tasks(tree, ["other"]) or not keep_tasks(tree, ["other"]).sources
    assert list(keep_tasks(tree, ["cars", "other"]).sources) == ["street"]
