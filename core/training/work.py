"""What the steps of a run computed, for its report."""

from __future__ import annotations

from collections.abc import Iterable

from umbel.config.schema import Recipe
from umbel.registry.plugins import Plugins
from umbel.runtime.empty import build_empty, step_flops
from umbel.schedule.plan import Plan


def mean_step_flops(recipe: Recipe, plugins: Plugins, shares: dict[str, float]) -> float:
    """Operations of one device in a mean step, losses left out; counted on a second model that holds no data.

    Args:
        recipe: of the run.
        plugins: where kinds and backbones are looked up.
        shares: of the steps that each trained task takes part in.
    """
    tasks, model, fake = build_empty(recipe, plugins)
    return sum(share * step_flops(recipe, tasks[name], model, fake).total for name, share in shares.items())


def participation(plan: Plan, tasks: Iterable[str], start: int, stop: int) -> dict[str, float]:
    """Share of the steps from `start` to `stop` that each task takes part in; 0 where there are none."""
    steps = max(1, stop - start)
    return {name: (plan.taken(name, stop) - plan.taken(name, start)) / steps for name in tasks}
