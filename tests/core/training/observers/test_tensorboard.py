"""The curves TensorBoard shows are those of the run, also after a resume."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from umbel.contract.types import Losses
from umbel.training.observers.tensorboard import TensorBoardObserver
from umbel.training.run import Run


def test_scalars_are_written_and_purged_on_resume(launch: Callable[..., Run]) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run = launch("a", "train.steps=4")

    def record(first: int, last: int, value: float) -> None:
        run.runtime.steps_done = first - 1
        observer = TensorBoardObserver()
        observer.umbel_run_started(run=run)
        for step in range(first, last + 1):
            losses = {"first": Losses(torch.tensor(value), {"square": torch.tensor(2 * value)})}
            observer.umbel_step_finished(run=run, step=step, losses=losses, lr=0.5)
        observer.umbel_evaluated(run=run, step=last, scores={"first/closeness": value})
        observer.umbel_run_finished(run=run, error=None)

    record(1, 4, 1.0)
    record(3, 4, 9.0)  # resumed from step 2
    events = accumulator.EventAccumulator(str(run.directory))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("train/first/loss")] == [(1, 1.0), (2, 1.0), (3, 9.0), (4, 9.0)]
    assert [(e.step, e.value) for e in events.Scalars("train/first/square")][-1] == (4, 18.0)
    assert events.Scalars("first/closeness")[-1].value == 9.0
    assert {e.value for e in events.Scalars("train/lr")} == {0.5}


def test_run_that_never_started_can_finish(launch: Callable[..., Run]) -> None:
    observer = TensorBoardObserver()
    observer.umbel_run_finished(run=launch("a", "train.steps=1"), error=None)
    assert observer.writer is None
