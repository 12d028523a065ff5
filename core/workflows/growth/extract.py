"""A smaller run out of a trained one: some of its tasks, with outputs as before to the bit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from omegaconf import OmegaConf

from umbel.checkpoint.write import write_checkpoint
from umbel.config.edit import keep_tasks
from umbel.config.inferred import write_inferred_backbone
from umbel.config.load import load_recipe
from umbel.contract.errors import ConfigError
from umbel.evaluate.score import check_formula
from umbel.io.lock import hold
from umbel.io.run_folder import CHECKPOINTS, RECIPE_FILE, refuse_taken, written_at_once
from umbel.model.model import keep_tasks as keep_parts
from umbel.predict.load import open_trained, resolve_checkpoint
from umbel.registry.plugins import Plugins


def extract(
    run: Path, names: Sequence[str], out: Path, *, checkpoint: str, plugins: Plugins, command: str = "umbel extract"
) -> int:
    """Write a bundle of a trained run with a subset of its tasks: recipe and weights, for evaluate, predict and export.

    Args:
        run: folder of the run.
        names: the tasks that stay.
        out: folder to make; it must not hold a run.
        checkpoint: see `umbel.predict.load.open_trained`.
        plugins: where kinds are looked up.
        command: what `out` is held for.

    Returns:
        Number of parameters of the smaller model.

    Raises:
        ConfigError: for a task that the run does not have, for none, or if `out` holds a run.
    """
    refuse_taken(out)
    with hold(out, command):
        refuse_taken(out)
        return _extract(run, names, out, checkpoint, plugins)


def _extract(run: Path, names: Sequence[str], out: Path, checkpoint: str, plugins: Plugins) -> int:
    recipe, tasks, runtime = open_trained(str(run), (), checkpoint, plugins)
    for name in names:
        if name not in tasks:
            raise ConfigError(f"no task '{name}'", where="--tasks", hint=f"the run has {', '.join(tasks)}")
    if not names:
        raise ConfigError("no task would be left", where=str(run), hint=f"the run has {', '.join(tasks)}")
    tree = keep_tasks(load_recipe(str(run / RECIPE_FILE), (), plugins).tree, names)
    write_inferred_backbone(tree, runtime.model.backbone)
    OmegaConf.update(tree, "train.ema_decay", 0.0, force_add=True)
    OmegaConf.update(tree, "train.precision", runtime.precision, force_add=True)
    try:
        check_formula(recipe.score, [name for name in tasks if name in names])
    except ConfigError:  # it names a task that goes
        OmegaConf.update(tree, "score", "mean", force_add=True)
    opened = resolve_checkpoint(run, checkpoint)
    keep_parts(runtime.model, names)
    tensors = {k: value for k, value in runtime.model.state_dict().items() if not k.startswith("balancer.")}
    with written_at_once(out):
        OmegaConf.save(tree, out / RECIPE_FILE, resolve=False)
    state = {**opened.state, "best": {}}
    state.pop("average_steps", None)
    write_checkpoint(out / CHECKPOINTS, opened.step, {"model": tensors}, state)
    open_trained(str(out), (), "latest", plugins)  # it opens, or says why not
    return sum(value.numel() for value in tensors.values())
