"""The plugin API: every hook umbel calls. A plugin is a module with functions of these names, marked `@hookimpl`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    import click

    from umbel.contract.backbone import Backbone
    from umbel.contract.balancer import Balancer
    from umbel.contract.run_view import RunView
    from umbel.contract.task import Task
    from umbel.contract.types import Losses


API_VERSION = 1

PROJECT = "umbel"

ENTRY_POINT_GROUP = f"umbel.v{API_VERSION}"

hookspec = pluggy.HookspecMarker(PROJECT)

hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def umbel_tasks() -> Mapping[str, type[Task[Any]] | str]:  # type: ignore[empty-body]
    """Tasks by kind, as a recipe writes it. A value is the class, or "module:Class" to import it only when used."""


@hookspec
def umbel_backbones() -> Mapping[str, type[Backbone] | str]:  # type: ignore[empty-body]
    """Backbones by name, as a recipe writes it. A value is the class, or "module:Class" to import it only when used."""


@hookspec
def umbel_balancers() -> Mapping[str, type[Balancer] | str]:  # type: ignore[empty-body]
    """Balancers of the tasks' weights by name, as a recipe writes it; values as for backbones."""


@hookspec
def umbel_recipes() -> Mapping[str, str]:  # type: ignore[empty-body]
    """Named recipes: name to the path of a YAML file, so that `umbel train NAME` finds it."""


@hookspec
def umbel_commands(cli: click.Group) -> None:
    """Add commands to the command line; called once at start-up, so import heavy modules inside the command."""


@hookspec
def umbel_run_started(run: RunView) -> None:
    """Observer: a run is built and is about to train. Observers must not call collectives."""


@hookspec
def umbel_step_finished(run: RunView, step: int, losses: Mapping[str, Losses], lr: float) -> None:
    """Observer: an optimizer step is done; `step` counts from 1. `losses` lie on the host; the first observer to read
    one waits for the device, once for all values and all observers."""


@hookspec
def umbel_evaluated(run: RunView, step: int, scores: Mapping[str, float]) -> None:
    """Observer: an evaluation is done; keys are "task/metric" and "score"."""


@hookspec
def umbel_run_finished(run: RunView, error: BaseException | None) -> None:
    """Observer: training has ended; `error` is what ended it early, or None."""


FIXED = "fixed"
