"""Saving a run: what goes into its checkpoints, which are best, and what happens when the disk refuses."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from umbel.checkpoint.finite import refuse_non_finite
from umbel.checkpoint.state import capture
from umbel.checkpoint.write import point_to, write_checkpoint
from umbel.errors import CheckpointError, TrainingError

if TYPE_CHECKING:
    from umbel.run import Run

log = logging.getLogger(__name__)


def save(run: Run, step: int, scores: Mapping[str, float] | None, *, evaluated: bool, needed: bool) -> None:
    """Write a checkpoint of a run and let the `best` files name it where its scores are the best so far.

    A disk that refuses costs a warning; the next save is tried when it is due. Every rank must call it, rank 0 writes.

    Args:
        run: what is saved.
        step: optimizer steps done.
        scores: by score key, where this step has been evaluated.
        evaluated: no evaluation of this step is outstanding; a resumed run makes up for one that is.
        needed: no later save will make up for this one.

    Raises:
        TrainingError: if weights are not finite; nothing is written.
        DataError: if the ranks together have met more bad samples than a task may have; nothing is written.
        CheckpointError: if the disk refuses what is needed, or `train.save_failures` times in a row.
    """
    config = run.recipe.train
    run.bad_samples.share(run.runtime.rows)
    tensors, state = capture(run.runtime)
    best = {key: list(value) for key, value in run.best.items()}
    improved = []
    for pointer, key in best_pointers(run).items():
        if scores and scores[key] > best.get(key, [float("-inf")])[0]:
            best[key] = [scores[key], step]
            improved.append(pointer)
    state |= {"guard": run.guard.state(), "best": best, "minutes": run.minutes, "evaluated": evaluated}
    state |= {"bad_samples": run.bad_samples.state(), "early_stop": run.early_stop.state()}
    state |= {"seed": config.seed, "total_steps": run.total_steps}
    state |= {"world_size": run.runtime.world_size, "images_a_step": images_a_step(run)}
    ruined, refused = _write(run, step, tensors, state, improved) if run.leads else (None, None)
    flags = run.runtime.agree(torch.tensor([float(ruined is not None), float(refused is not None)]))
    if flags[0]:
        raise ruined or TrainingError("weights are not finite, as rank 0 says; not saved")
    if not flags[1]:
        run.best = best
        run.failed_saves = 0
        return
    run.failed_saves += 1
    if needed or run.failed_saves >= config.save_failures:
        raise refused or CheckpointError("cannot be saved, as rank 0 says", where=str(run.checkpoints))
    if refused is not None:
        log.warning("%s; training goes on and tries again (%d/%d)", refused, run.failed_saves, config.save_failures)


def _write(
    run: Run, step: int, tensors: dict[str, dict[str, Tensor]], state: dict[str, Any], improved: list[str]
) -> tuple[TrainingError | None, CheckpointError | None]:
    """What kept the checkpoint from being written: its weights, or the disk."""
    config = run.recipe.train
    try:
        refuse_non_finite(tensors, {name for name, _ in run.runtime.model.named_parameters()}, step)
        folder = write_checkpoint(
            run.checkpoints, step, tensors, state, keep=config.keep_checkpoints, keep_every=config.keep_every
        )
        for pointer in improved:
            point_to(run.checkpoints, pointer, folder)
    except TrainingError as error:
        return error, None
    except CheckpointError as error:
        return None, error
    return None, None


def best_pointers(run: Run) -> dict[str, str]:
    """Which score each `best` pointer follows."""
    return {f"best-{name}": f"{name}/{task.main_metric}" for name, task in run.tasks.items()} | {"best": "score"}


def images_a_step(run: Run) -> dict[str, int]:
    """Images of each task in one optimizer step, over all processes: with them the order of samples is the same."""
    times = run.runtime.world_size * run.recipe.train.accumulate
    return {name: task.config.batch_size * times for name, task in run.tasks.items()}
