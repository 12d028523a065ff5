"""Going on from a checkpoint: only with the recipe that it was started with."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from umbel.checkpoint.folder import checkpoint_folder
from umbel.checkpoint.read import Checkpoint
from umbel.checkpoint.state import restore
from umbel.checkpoint.write import point_to
from umbel.errors import CheckpointError
from umbel.recipe import read_tree
from umbel.saving import best_pointers, images_a_step

if TYPE_CHECKING:
    from umbel.run import Run

# what may change between two parts of a run without changing what it computes; images a step are compared instead of
# batch_size and accumulate
_FREE = re.compile(
    r"score|deepspeed|tasks\.\w+\.(workers|batch_size|tta|tta_variants)"
    r"|train\.(device|log_every|eval_every|save_every|non_finite|non_finite_limit|bad_samples|timeout|accumulate"
    r"|keep_checkpoints|keep_every|save_async|save_failures)"
)

_NEEDED = (
    *("steps_done", "precision", "guard", "evaluated", "best", "bad_samples", "early_stop"),
    *("minutes", "seed", "total_steps", "world_size", "images_a_step"),
)
_START = "it was written by another version; start a new run"


def resume(run: Run, checkpoint: Checkpoint, tree: DictConfig, saved_recipe: Path) -> None:
    """Put a prepared run back where a checkpoint left it.

    Args:
        run: from `prepare`.
        checkpoint: a verified checkpoint of the same run.
        tree: the run's recipe as it would be saved now.
        saved_recipe: the recipe file of the run as it was started.

    Raises:
        CheckpointError: if the recipe, the seed or the length has changed since, or the saved recipe is gone.
        ConfigError: if the saved recipe cannot be read.
    """
    state = checkpoint.state
    lacking = [key for key in _NEEDED if key not in state]
    if lacking:
        raise CheckpointError(f"lacks {', '.join(lacking)} in its state", where=str(checkpoint.path), hint=_START)
    now = {"seed": run.recipe.train.seed, "total_steps": run.total_steps}
    changed = [key for key, value in now.items() if state.get(key) != value]
    if not saved_recipe.exists():
        raise CheckpointError(
            "is gone: nobody can tell whether the recipe has changed",
            where=str(saved_recipe),
            hint="put it back, or start a new run with --out",
        )
    saved = read_tree(str(saved_recipe), run.plugins)
    if run.recipe.train.precision == "auto":  # decided when the run began, perhaps on another device
        for of_run in (saved, tree):
            OmegaConf.update(of_run, "train.precision", str(state["precision"]), force_add=True)
    changed += sorted(changed_keys(_plain(saved), _plain(tree)))
    if changed:
        raise CheckpointError(
            f"was written with another recipe: {', '.join(changed)} changed",
            where=str(checkpoint.path),
            hint="resume with the recipe it was started with, or start a new run with --out",
        )
    try:
        _put_back(run, checkpoint)
    except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError) as error:
        message = f"its state is not one that umbel writes: {type(error).__name__}: {error}"
        raise CheckpointError(message, where=str(checkpoint.path), hint=_START) from None
    found = [row[0] for row in run.runtime.rows([checkpoint.step])]
    if len(set(found)) > 1:
        raise CheckpointError(
            f"the ranks found checkpoints of different steps: {found}",
            where=str(run.checkpoints),
            hint="every machine must see the same folder",
        )
    # of a run that was stopped between a checkpoint and its pointers
    for pointer, key in best_pointers(run).items() if run.leads else ():
        folder = checkpoint_folder(run.checkpoints, int(run.best[key][1])) if key in run.best else None
        if folder is not None and folder.is_dir():
            point_to(run.checkpoints, pointer, folder)


def _put_back(run: Run, checkpoint: Checkpoint) -> None:
    state = checkpoint.state
    if state["steps_done"] != checkpoint.step:
        raise ValueError(f"steps_done is {state['steps_done']!r}, the manifest's step {checkpoint.step}")
    _check_images(run, checkpoint)
    restore(run.runtime, checkpoint)
    run.runtime.precision = str(state["precision"])
    run.guard.restore(state["guard"])
    run.bad_samples.restore(state["bad_samples"])
    run.evaluated = bool(state["evaluated"])
    run.best = {key: [float(score), int(step)] for key, (score, step) in state["best"].items()}
    run.minutes = float(state["minutes"])
    run.early_stop.restore(state["early_stop"])


def _check_images(run: Run, checkpoint: Checkpoint) -> None:
    before, now = checkpoint.state["images_a_step"], images_a_step(run)
    if before == now:
        return
    name = next((name for name in now if before.get(name) != now[name]), "")
    ratios = {before.get(task, 0) * run.recipe.train.accumulate / now[task] for task in now}
    accumulate = ratios.pop() if len(ratios) == 1 else 0.0
    fitting = f"add train.accumulate={accumulate:.0f}, or " if accumulate >= 1 and accumulate == int(accumulate) else ""
    raise CheckpointError(
        f"a step had {before.get(name)} images of '{name}', "
        f"with {_processes(run.runtime.world_size)} it has {now[name]}",
        where=str(checkpoint.path),
        hint=f"{fitting}go on with {_processes(checkpoint.state['world_size'])}, or change batch_size to fit",
    )


def _processes(count: int) -> str:
    return f"{count} process{'es' * (count > 1)}"


def changed_keys(before: Any, after: Any, free: re.Pattern[str] = _FREE, prefix: str = "") -> Iterator[str]:
    """Dotted keys whose values differ between two plain trees, free ones left out: those that a run may change."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted(before.keys() | after.keys(), key=str):
            if not free.fullmatch(f"{prefix}{key}"):
                yield from changed_keys(before.get(key), after.get(key), free, f"{prefix}{key}.")
    elif before != after:
        yield prefix.rstrip(".")


def _plain(tree: Any) -> Any:
    return OmegaConf.to_container(tree, resolve=False)
