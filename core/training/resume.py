"""Going on from a checkpoint: only with the recipe that it was started with."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from umbel.checkpoint.layout import checkpoint_folder
from umbel.checkpoint.read import Checkpoint, trained_precision
from umbel.checkpoint.write import point_to
from umbel.config.edit import changed_keys
from umbel.config.read import read_tree
from umbel.contract.errors import CheckpointError
from umbel.io.run_folder import DATA_FILE, RECIPE_FILE
from umbel.training.parts import Parts
from umbel.training.runtime_state import RUNTIME_KEYS, load_runtime_state_dict
from umbel.training.same_data import ACCEPT, check_data, note_accepted, remember_data

if TYPE_CHECKING:
    from umbel.training.run import Run


log = logging.getLogger(__name__)

# of the images of a step, which may not change
_PARTS = re.compile(r"(tasks|sources)\.\w+\.batch_size|train\.accumulate")

_JUDGED = re.compile(r"train\.eval_every|tasks\.\w+\.tta(\..*)?")  # with an early stop they move the last step

_ACCEPTED = re.compile(rf"{_PARTS.pattern}|{_JUDGED.pattern}|deepspeed(\..*)?")

_NOTHING = re.compile(r"(?!)")

_START = "it was written by another version; start a new run"


def resume(run: Run, checkpoint: Checkpoint, tree: DictConfig, *, accept: bool = False) -> None:
    """Put a prepared run back where a checkpoint left it.

    Args:
        run: from `prepare`; its folder holds the recipe that it was started with.
        checkpoint: a verified checkpoint of the same run.
        tree: the run's recipe as it would be saved now.
        accept: go on although the data has changed, or what of the recipe divides a step's images and reduces its
            gradients; the run's folder says so.

    Raises:
        CheckpointError: if the recipe, the seed, the length or the data has changed since, or the saved recipe is gone.
        ConfigError: if the saved recipe cannot be read.
    """
    needed = (*RUNTIME_KEYS, *Parts.names(), *run.saver.identity)
    lacking = [key for key in needed if key not in checkpoint.state]
    if lacking:
        raise CheckpointError(f"lacks {', '.join(lacking)} in its state", where=str(checkpoint.path), hint=_START)
    accepted = _accepted_keys(run, checkpoint, tree, accept=accept)
    with _named(checkpoint):
        _check_images(run, checkpoint)
    accepted += check_data(run, accept=accept)
    with _named(checkpoint):
        _load_state(run, checkpoint)
        _tell_processes(run, int(checkpoint.state["world_size"]))
    _check_same_step(run, checkpoint)
    if run.is_main_process:
        _remember(run, checkpoint, accepted)


def _check_same_step(run: Run, checkpoint: Checkpoint) -> None:
    found = [row[0] for row in run.runtime.all_gather([checkpoint.step])]
    if len(set(found)) > 1:
        raise CheckpointError(
            f"the ranks found checkpoints of different steps: {found}",
            where=str(run.checkpoints),
            hint="every machine must see the same folder",
        )


def _remember(run: Run, checkpoint: Checkpoint, accepted: list[str]) -> None:
    """Write down what has changed, and set the pointers of a run that was stopped between a checkpoint and them."""
    if accepted:
        note_accepted(run, checkpoint.step, accepted)
    if accepted or not (run.directory / DATA_FILE).exists():
        remember_data(run)
    for pointer, key in run.parts.best.pointers.items():
        folder = checkpoint_folder(run.checkpoints, int(run.best[key][1])) if key in run.best else None
        if folder is not None and folder.is_dir():
            point_to(run.checkpoints, pointer, folder)


def _saved_recipe(run: Run) -> DictConfig:
    path = run.directory / RECIPE_FILE
    if not path.exists():
        raise CheckpointError(
            "is gone: nobody can tell whether the recipe has changed",
            where=str(path),
            hint="put it back, or start a new run with --out",
        )
    return read_tree(str(path), run.plugins)


def _accepted_keys(run: Run, checkpoint: Checkpoint, tree: DictConfig, *, accept: bool) -> list[str]:
    """Changes of the recipe that the run goes on with; CheckpointError for those that it does not."""
    state, saved = checkpoint.state, _saved_recipe(run)
    changed = [key for key in ("seed", "total_steps") if state[key] != run.saver.identity[key]]
    if run.recipe.train.precision == "auto":  # decided when the run began, perhaps on another device
        for of_run in (saved, tree):
            OmegaConf.update(of_run, "train.precision", trained_precision(checkpoint), force_add=True)
    before, after = _comparable(saved), _comparable(tree)
    changed += sorted(changed_keys(before, after))
    if run.recipe.train.early_stop.mode != "none":
        changed += sorted(key for key in changed_keys(before, after, _NOTHING) if _JUDGED.fullmatch(key))
    if state["world_size"] != run.runtime.world_size:  # they are what divides the same images among processes
        changed = [key for key in changed if not _PARTS.fullmatch(key)]
    refused = [key for key in changed if not _ACCEPTED.fullmatch(key)]
    if not refused and _images_differ(run, checkpoint):
        return []  # said with numbers
    if refused or (changed and not accept):
        hint = "resume with the recipe it was started with, or start a new run with --out"
        raise CheckpointError(
            f"was written with another recipe: {', '.join(changed)} changed",
            where=str(checkpoint.path),
            hint=hint if refused else f"{hint}; {ACCEPT}",
        )
    return [f"{key} of the recipe changed" for key in changed]


def _images_differ(run: Run, checkpoint: Checkpoint) -> bool:
    return bool(checkpoint.state["images_a_step"] != run.images_per_step)


@contextmanager
def _named(checkpoint: Checkpoint) -> Iterator[None]:
    """Within it a state that umbel does not write is a CheckpointError."""
    try:
        yield
    except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError) as error:
        message = f"its state is not one that umbel writes: {type(error).__name__}: {error}"
        raise CheckpointError(message, where=str(checkpoint.path), hint=_START) from None


def _tell_processes(run: Run, before: int) -> None:
    now = run.runtime.world_size
    if before != now and run.is_main_process:
        log.info(
            "goes on with %s, it had %d: a step has the same images, but sums are rounded in another order, and batch "
            "statistics are of other parts of the batch",
            _processes(now),
            before,
        )


def _load_state(run: Run, checkpoint: Checkpoint) -> None:
    state = checkpoint.state
    if state["steps_done"] != checkpoint.step:
        raise ValueError(f"steps_done is {state['steps_done']!r}, the manifest's step {checkpoint.step}")
    load_runtime_state_dict(run.runtime, checkpoint)
    run.parts.load_state_dict(state)


def _check_images(run: Run, checkpoint: Checkpoint) -> None:
    before, now = checkpoint.state["images_a_step"], run.images_per_step
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


def _comparable(tree: Any) -> Any:
    """Plain containers; of the deepspeed block every section is there, so that its keys are compared one by one."""
    plain = OmegaConf.to_container(tree, resolve=False)
    if isinstance(plain, dict) and isinstance(plain.get("deepspeed", {}), (dict, type(None))):
        block = dict(plain.get("deepspeed") or {})
        zero = block.get("zero_optimization")
        plain["deepspeed"] = {**block, "zero_optimization": {} if zero is None else zero}
    return plain
