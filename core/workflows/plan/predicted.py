"""What `umbel plan` predicts for a step that found too little memory, on the line of its error."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace

from umbel.config.deepspeed import is_distributed, zero_stage
from umbel.config.load import load_recipe
from umbel.config.schema import Recipe
from umbel.io.shortage import ShortageError
from umbel.io.text import size_text
from umbel.registry.plugins import Plugins
from umbel.runtime.ranks import ranks_from_env
from umbel.workflows.plan.fit import Cluster
from umbel.workflows.plan.plan import make_plan

_PROBED = 2  # images: activations are a line in the batch size, and there may be no memory for more


@contextmanager
def naming_prediction(predict: Callable[[str], str]) -> Iterator[None]:
    """Within it a ShortageError of memory in a training step also says what the plan of the recipe predicts.

    Args:
        predict: gives that for the place of the error, such as "tasks.road"; what it raises is passed over.
    """
    try:
        yield
    except ShortageError as error:
        if error.kind == "memory":
            _let_go(error)
            with suppress(Exception):  # the error as it is says enough
                if text := predict(error.where):
                    error.message += f"; `umbel plan` predicts {text}"
                    error.hint = error.hint.partition("; `umbel plan`")[0]
        raise


def predicted_for(recipe: str, overrides: Sequence[str], where: str) -> str:
    """`predicted_text` of a recipe by its path or name."""
    plugins = Plugins.discover()
    return predicted_text(load_recipe(recipe, overrides, plugins).typed, plugins, where)


def predicted_text(recipe: Recipe, plugins: Plugins, where: str) -> str:
    """What a rank needs at the recipe's ZeRO stage, "" for a place that is no task's and not the optimizer's.

    Args:
        recipe: typed.
        plugins: where kinds and backbones are looked up.
        where: "tasks.NAME" or "optim", of a ShortageError.
    """
    name = where.removeprefix("tasks.")
    if where != "optim" and (name not in recipe.tasks or not where.startswith("tasks.")):
        return ""
    ranks = ranks_from_env().world_size
    stage = zero_stage(recipe) if is_distributed(recipe, ranks) else 0
    few = {key: replace(task, batch_size=min(_PROBED, task.batch_size)) for key, task in recipe.tasks.items()}
    plan = make_plan(replace(recipe, tasks=few), plugins, Cluster(ranks, 1, 0, 0.0))
    states = plan.stages[stage].states.total
    if where == "optim":
        return f"{size_text(states)} for weights, gradients and optimizer at ZeRO stage {stage}"
    (probe,) = (probe for probe in plan.activations if probe.task == name)
    activations = probe.peak(recipe.tasks[name].batch_size)
    return (
        f"{size_text(activations + states)} for it: {size_text(activations)} of activations, "
        f"{size_text(round(probe.per_image))} an image, and {size_text(states)} of weights, gradients and optimizer"
    )


def _let_go(error: BaseException | None) -> None:
    """Free what the frames of an error hold, the tensors of the step above all."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
