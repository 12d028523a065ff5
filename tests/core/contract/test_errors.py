"""Errors of one of many tasks say which."""

from __future__ import annotations

from pathlib import Path

import pytest
from trio import make_run

from umbel.config.load import load_recipe
from umbel.contract.errors import CheckpointError, ConfigError, DataError, UmbelError, of_task
from umbel.registry.plugins import Plugins
from umbel.training.prepare import prepare


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ConfigError("is 7", where="aux_stride"), "tasks.road: aux_stride: is 7"),
        (ConfigError("format is 'x'"), "tasks.road: format is 'x'"),
        (DataError("no such folder", where="/data", hint="set root"), "tasks.road: /data: no such folder (set root)"),
        (ConfigError("is 7", where="tasks.road.batch_size"), "tasks.road.batch_size: is 7"),
        (CheckpointError("is damaged", where="step-1"), "step-1: is damaged"),
    ],
)
def test_task_is_named_once(error: UmbelError, text: str) -> None:
    with pytest.raises(UmbelError) as caught, of_task("road"):
        raise error
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("override", "text"),
    [
        ("tasks.road.options.aux_weight=1", r"^tasks\.road: aux_stride: no feature level of stride 7"),
        ("tasks.signs.options.format=cocoa", r"^tasks\.signs: format is 'cocoa'"),
        ("train.steps=1", r"^tasks\.road: nowhere \(that is /\S+\): no such folder"),
    ],
)
def test_recipe_of_three_tasks_is_told_which_one_is_wrong(tmp_path: Path, override: str, text: str) -> None:
    run, plugins = make_run(tmp_path / "run"), Plugins.discover()
    overrides = ["tasks.road.options.aux_stride=7", override]
    if "signs" in override:
        overrides += ["tasks.road=null", "tasks.vehicles=null"]
    loaded = load_recipe(str(run / "recipe.yaml"), overrides, plugins)
    with pytest.raises(UmbelError, match=text):
        prepare(loaded, tmp_path / "new")
