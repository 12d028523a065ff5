"""Saving a run: what goes into its checkpoints, which are best, and what happens when the disk refuses."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from umbel.checkpoint.amend import amend_checkpoint
from umbel.checkpoint.async_save import Background
from umbel.checkpoint.layout import checkpoint_folder
from umbel.checkpoint.save_job import Job, Outcome
from umbel.checkpoint.snapshot import Snapshot
from umbel.checkpoint.write import point_to
from umbel.config.schema import TrainConfig
from umbel.contract.errors import CheckpointError, TrainingError
from umbel.runtime.base import Runtime
from umbel.training.parts import Parts
from umbel.training.runtime_state import runtime_state_dict

log = logging.getLogger(__name__)


class Saver:
    """Writes the checkpoints of a run. Every rank must call its methods alike; rank 0 writes.

    With `train.save_async` a checkpoint is written while training goes on; what became of it is learnt by the next
    call, or by `wait`. A disk that refuses costs a warning; the next save is tried when it is due.

    Args:
        root: folder of the run's checkpoints.
        runtime: whose weights and optimizer are saved.
        parts: what else the run must remember.
        config: how often, how many, and how patient.
        identity: what a run that goes on must have in common with this one, as JSON types.

    Attributes:
        pending: the save under way: being written, or known to have come to this.
        failed: saves that the disk has refused since the last that went well.
    """

    def __init__(
        self, root: Path, runtime: Runtime, parts: Parts, config: TrainConfig, identity: Mapping[str, Any]
    ) -> None:
        self.root = root
        self.runtime = runtime
        self.parts = parts
        self.config = config
        self.identity = identity
        self.pending: Background | Outcome | None = None
        self.failed = 0
        self._snapshot = Snapshot()

    def is_due(self, step: int) -> bool:
        """Whether the recipe wants a checkpoint after `step` steps."""
        return bool(self.config.save_every and step % self.config.save_every == 0)

    def is_writing(self) -> bool:
        """Whether a thread is writing a checkpoint; may be asked from any other."""
        pending = self.pending
        return isinstance(pending, Background) and not pending.is_done()

    def save(self, step: int, *, needed: bool) -> None:
        """Write a checkpoint, after learning what became of the one before.

        Args:
            step: optimizer steps done.
            needed: no later save will make up for this one: wait for it.

        Raises:
            TrainingError: if weights are not finite; nothing is written.
            DataError: if the ranks together have met more bad samples than a task may have; nothing is written.
            CheckpointError: if the disk refuses what is needed, or `train.save_failures` times in a row.
        """
        self.wait(tolerant=needed)
        self.parts.bad_samples.sync(self.runtime.all_gather)
        tensors, state = runtime_state_dict(self.runtime)
        state |= {**self.parts.state_dict(), **self.identity}
        self.pending = (None, None)
        if self.runtime.rank == 0:
            parameters = {name for name, _ in self.runtime.model.named_parameters()}
            job = Job(
                root=self.root,
                step=step,
                tensors={**tensors},
                state=state,
                parameters=parameters,
                keep=self.config.keep_checkpoints,
                keep_every=self.config.keep_every,
            )
            later = self.config.save_async and not needed
            self.pending = Background(job, self.runtime.before_update, self._snapshot) if later else job.write()
        if needed or not self.config.save_async:
            self.wait(needed=needed)

    def record(self, step: int, scores: Mapping[str, float], *, needed: bool) -> None:
        """Write into the checkpoint of a step what its evaluation came to, and let the `best` files name it where its
        scores are the best so far; its weights are not written again.

        Args:
            step: of a checkpoint that has been saved; where the disk has refused it there is nothing to do.
            scores: by score key.
            needed: no later save will make up for this one.

        Raises:
            TrainingError, CheckpointError: as `wait`.
        """
        self.wait(needed=needed)
        if self.failed:
            return
        best, before = self.parts.best, self.parts.best.state_dict()
        improved = best.update(scores, step)
        self.parts.evaluated.done = True
        self.pending = (None, None)
        if self.runtime.rank == 0:
            try:
                self._amend(step, improved)
            except CheckpointError as error:
                self.pending = None, error
        try:
            self.wait(needed=needed)
        finally:
            if self.failed:
                best.load_state_dict(before)

    def wait(self, *, needed: bool = False, tolerant: bool = False) -> None:
        """Wait for the save under way and learn what became of it.

        Args:
            needed: no later save will make up for it.
            tolerant: any number of refusals is accepted, as the next save is needed and follows at once.

        Raises:
            TrainingError: if its weights were not finite; it was not written.
            CheckpointError: if the disk refused what was needed, or `train.save_failures` times in a row.
        """
        if self.pending is None:
            return
        ruined, refused = self.pending.result() if isinstance(self.pending, Background) else self.pending
        self.pending = None
        flags = self.runtime.all_reduce_max(torch.tensor([float(ruined is not None), float(refused is not None)]))
        if flags[0]:
            raise ruined or TrainingError("weights are not finite, as rank 0 says; not saved")
        if not flags[1]:
            self.failed = 0
            return
        self.failed, limit = self.failed + 1, self.config.save_failures
        if needed or (self.failed >= limit and not tolerant):
            raise refused or CheckpointError("cannot be saved, as rank 0 says", where=str(self.root))
        if refused is not None:
            log.warning("%s; training goes on and tries again (%d/%d)", refused, self.failed, limit)

    def save_before_leaving(self) -> None:
        """Save what has been trained before an error that came between two steps of a lone process; it costs a warning
        if that fails, as the error itself says what is wrong."""
        step = self.runtime.steps_done
        try:
            self.wait(tolerant=True)
            if not checkpoint_folder(self.root, step).is_dir():
                self.parts.evaluated.done = True
                self.save(step, needed=True)
            log.warning("step %d is saved: --resume goes on from it", step)
        except Exception as fault:
            log.warning("step %d could not be saved: %s", step, fault)

    def wait_before_leaving(self, error: BaseException) -> None:
        """Let the save under way come to its end before an error leaves training; other ranks may be anywhere.

        Raises:
            TrainingError: in place of one that only follows from weights that the save has found not to be finite.
        """
        pending, self.pending = self.pending, None
        if not isinstance(pending, Background):
            return
        if isinstance(error, KeyboardInterrupt):  # a second signal
            pending.abandon()
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

    def _amend(self, step: int, improved: list[str]) -> None:
        folder = amend_checkpoint(
            self.root,
            step,
            self.parts.state_dict(),
            keep=self.config.keep_checkpoints,
            keep_every=self.config.keep_every,
        )
        for pointer in improved:
            point_to(self.root, pointer, folder)
