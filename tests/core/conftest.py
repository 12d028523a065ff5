"""Fixtures of the core's tests: the toys as a plugin, runs of them, and distributions that are not really installed."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from toys import TOY_MODULE, TOY_RECIPE, ToyPlugin

from umbel.config.load import load_recipe
from umbel.contract.hooks import hookimpl
from umbel.registry.plugins import Plugin, Plugins
from umbel.training.observers.jsonl import JsonlObserver
from umbel.training.prepare import prepare
from umbel.training.run import Run
from umbel.training.session import train


@pytest.fixture(autouse=True)
def _no_plugin_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UMBEL_PLUGINS", raising=False)
    monkeypatch.delenv("UMBEL_DISABLE", raising=False)


@pytest.fixture
def new_plugins() -> Callable[[], Plugins]:
    """Makes a registry that holds the toys and nothing else."""

    def make() -> Plugins:
        plugins = Plugins()
        plugins.register(ToyPlugin(), Plugin("toy-tasks", "1.0", "toys"))
        return plugins

    return make


@pytest.fixture
def recipe_file(tmp_path: Path) -> Path:
    path = tmp_path / "toy.yaml"
    path.write_text(TOY_RECIPE)
    return path


class StoppedError(Exception):
    """What `StopAfter` ends a run with."""


class StopAfter:
    """Ends a run as a crash would: in the middle of the given step, before anything of it is saved."""

    def __init__(self, step: int) -> None:
        self.step = step

    @hookimpl
    def umbel_step_finished(self, step: int) -> None:
        if step == self.step:
            raise StoppedError


@pytest.fixture
def launch(tmp_path: Path, recipe_file: Path, new_plugins: Callable[[], Plugins]) -> Callable[..., Run]:
    """Trains the toy recipe in tmp_path/out; `stop` breaks it off in that step."""

    def go(out: str, *overrides: str, resume: bool = False, stop: int | None = None) -> Run:
        plugins = new_plugins()
        loaded = load_recipe(str(recipe_file), overrides, plugins)
        run = prepare(loaded, tmp_path / out)
        plugins.register(JsonlObserver(), Plugin("umbel", "0", "jsonl"))
        if stop is None:
            train(run, resume=resume)
        else:
            plugins.register(StopAfter(stop), Plugin("umbel", "0", "stop"))
            with pytest.raises(StoppedError):
                train(run, resume=resume)
        return run

    return go


@pytest.fixture
def metrics() -> Callable[[Run], list[dict[str, Any]]]:
    """Lines of a run's metrics.jsonl without what depends on the clock."""

    def read(run: Run) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in (run.directory / "metrics.jsonl").read_text().splitlines()]
        return [{key: value for key, value in line.items() if key not in ("time", "minutes")} for line in lines]

    return read


Distribute = Callable[..., Path]


@pytest.fixture
def distribute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Distribute]:
    """Adds a distribution to a folder on sys.path, as pip would leave it: modules and a .dist-info folder."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    written: set[str] = set()

    def add(
        name: str,
        modules: Mapping[str, str] | None = None,
        entry_points: str | None = None,
        *,
        version: str = "1.0",
        group: str = "umbel.v1",
    ) -> Path:
        modules = {f"{name.replace('-', '_')}_module": TOY_MODULE} if modules is None else modules
        first = next(iter(modules), "nothing")
        info = site / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[{group}]\n{entry_points or f'main = {first}'}\n")
        for module, source in modules.items():
            (site / f"{module}.py").write_text(source)
            written.add(module)
        importlib.invalidate_caches()
        return site

    yield add
    for module in written:
        sys.modules.pop(module, None)
