"""Saving a run: what goes into its checkpoints, which are best, and what happens when the disk refuses."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from umbel.checkpoint.amend import amend_checkpoint
from umbel.checkpoint.async_save import Background
from umbel.checkpoint.layout import checkpoint_folder
from umbel.checkpoint.read import Checkpoint
from umbel.checkpoint.save_job import Job
from umbel.checkpoint.write import point_to
from umbel.contract.errors import CheckpointError, TrainingError
from umbel.runtime.base import Runtime
from umbel.training.run import Pending, best_pointers

if TYPE_CHECKING:
    from umbel.training.run import Run


log = logging.getLogger(__name__)


def save(run: Run, step: int, *, evaluated: bool, needed: bool) -> None:
    """Write a checkpoint of a run.

    A disk that refuses costs a warning; the next save is tried when it is due. Every rank must call it, rank 0 writes.
    With `train.save_async` it returns before the checkpoint is written, unless it is needed; errors are then raised
    by the next call, or by `settle`.

    Args:
        run: what is saved.
        step: optimizer steps done.
        evaluated: no evaluation of this step is outstanding; a resumed run makes up for one that is, unless `record`
            has written down what it came to.
        needed: no later save will make up for this one.

    Raises:
        TrainingError: if weights are not finite; nothing is written.
        DataError: if the ranks together have met more bad samples than a task may have; nothing is written.
        CheckpointError: if the disk refuses what is needed, or `train.save_failures` times in a row.
    """
    config = run.recipe.train
    settle(run, tolerant=needed)
    run.bad_samples.share(run.runtime.rows)
    tensors, state = capture(run.runtime)
    state |= {"guard": run.guard.state(), "bad_samples": run.secrets.conceal(run.bad_samples.state())}
    state |= _outcome(run, run.best, evaluated)
    state |= {"seed": config.seed, "total_steps": run.total_steps}
    state |= {"world_size": run.runtime.world_size, "images_a_step": run.images_per_step}
    run.saver.pending = pending = Pending(run.best)
    if run.leads:
        parameters = {name for name, _ in run.runtime.model.named_parameters()}
        keep, keep_every = config.keep_checkpoints, config.keep_every
        job = Job(run.checkpoints, step, {**tensors}, state, parameters, keep, keep_every)
        later = config.save_async and not needed
        pending.writing = Background(job, run.runtime.hold, run.saver.snapshot) if later else job.write()
    if needed or not config.save_async:
        settle(run, needed=needed)


def record(run: Run, step: int, scores: Mapping[str, float], *, needed: bool) -> None:
    """Write into the checkpoint of a step what its evaluation came to, and let the `best` files name it where its
    scores are the best so far; its weights are not written again. Every rank must call it.

    Args:
        run: whose checkpoint of this step has been saved; where the disk has refused it there is nothing to do.
        step: optimizer steps done.
        scores: by score key.
        needed: no later save will make up for this one.

    Raises:
        TrainingError, CheckpointError: as `settle`.
    """
    settle(run, needed=needed)
    if run.failed_saves:
        return
    best = {key: list(value) for key, value in run.best.items()}
    improved = []
    for pointer, key in best_pointers(run).items():
        if scores[key] > best.get(key, [float("-inf")])[0]:
            best[key] = [scores[key], step]
            improved.append(pointer)
    run.saver.pending = pending = Pending(best)
    if run.leads:
        keep, keep_every = run.recipe.train.keep_checkpoints, run.recipe.train.keep_every
        try:
            folder = amend_checkpoint(
                run.checkpoints, step, _outcome(run, best, True), keep=keep, keep_every=keep_every
            )
            for pointer in improved:
                point_to(run.checkpoints, pointer, folder)
        except CheckpointError as error:
            pending.writing = None, error
    settle(run, needed=needed)


def _outcome(run: Run, best: Mapping[str, list[float]], evaluated: bool) -> dict[str, Any]:
    """What of a checkpoint's state an evaluation changes."""
    return {
        "best": {key: list(value) for key, value in best.items()},
        "minutes": run.minutes,
        "evaluated": evaluated,
        "early_stop": run.early_stop.state(),
    }


def settle(run: Run, *, needed: bool = False, tolerant: bool = False) -> None:
    """Wait for the save under way and learn what became of it; every rank must call it.

    Args:
        run: whose save.
        needed: no later save will make up for it.
        tolerant: any number of refusals is borne, as the next save is needed and follows at once.

    Raises:
        TrainingError: if its weights were not finite; it was not written.
        CheckpointError: if the disk refused what was needed, or `train.save_failures` times in a row.
    """
    pending, limit = run.saver.pending, run.recipe.train.save_failures
    if pending is None:
        return
    ruined, refused = pending.result()
    run.saver.pending = None
    flags = run.runtime.agree(torch.tensor([float(ruined is not None), float(refused is not None)]))
    if flags[0]:
        raise ruined or TrainingError("weights are not finite, as rank 0 says; not saved")
    if not flags[1]:
        run.best = pending.best
        run.failed_saves = 0
        return
    run.failed_saves += 1
    if needed or (run.failed_saves >= limit and not tolerant):
        raise refused or CheckpointError("cannot be saved, as rank 0 says", where=str(run.checkpoints))
    if refused is not None:
        log.warning("%s; training goes on and tries again (%d/%d)", refused, run.failed_saves, limit)


def save_before_leaving(run: Run) -> None:
    """Save what has been trained before an error that came between two steps of a lone process; it costs a warning if
    that fails, as the error itself says what is wrong."""
    step = run.runtime.steps_done
    try:
        settle(run, tolerant=True)
        if not checkpoint_folder(run.checkpoints, step).is_dir():
            save(run, step, evaluated=True, needed=True)
        log.warning("step %d is saved: --resume goes on from it", step)
    except Exception as fault:
        log.warning("step %d could not be saved: %s", step, fault)


def wait_before_leaving(run: Run, error: BaseException) -> None:
    """Let the save under way come to its end before an error leaves training; other ranks may be anywhere.

    Raises:
        TrainingError: in place of one that only follows from weights that the save has found not to be finite.
    """
    pending, run.saver.pending = run.saver.pending, None
    if pending is None or not isinstance(pending.writing, Background):
        return
    if isinstance(error, KeyboardInterrupt):  # a second signal
        pending.writing.abandon()
        return
    try:
        ruined, refused = pending.result()
    except Exception as defect:
        log.warning("the last checkpoint was not written: %r", defect)
        return
    if ruined is not None and isinstance(error, TrainingError):
        raise ruined from error
    if ruined is not None or refused is not None:
        log.warning("%s", ruined or refused)
    else:
        run.best = pending.best


def capture(runtime: Runtime) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]]:
    """Whole tensors by file, and the JSON state of a runtime; every rank must call it, rank 0 gets the tensors.

    Nothing else is needed, since order, augmentation and dropout are functions of the seed and the step.
    """
    tensors = {"model": runtime.weights(), "optimizer": runtime.optimizer_tensors()}
    state: dict[str, Any] = {"steps_done": runtime.steps_done, "precision": runtime.precision}
    if runtime.average is not None:
        tensors["average"] = runtime.average_weights()
        state["average_steps"] = runtime.average.steps
    return tensors, state


def restore(runtime: Runtime, checkpoint: Checkpoint) -> None:
    """Put a runtime back where one was when the checkpoint was written, whatever its kind and number of processes."""
    where = str(checkpoint.path)
    if "optimizer.safetensors" not in checkpoint.files:
        raise CheckpointError("has no optimizer state", where=where, hint="start a new run")
    if runtime.average is not None:
        average = checkpoint.tensors("average")
        if not average:
            raise CheckpointError("has no averaged weights", where=where, hint="set train.ema_decay=0")
        runtime.load_average(average, where)
        runtime.average.steps = int(checkpoint.state["average_steps"])
    runtime.load_weights(checkpoint.tensors("model"), where)
    runtime.load_optimizer(checkpoint.tensors("optimizer"), where)
    runtime.steps_done = int(checkpoint.state["steps_done"])
