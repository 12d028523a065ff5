"""MLflow for umbel: observer hooks that hand over to a tracker, made when a run starts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from umbel import hookimpl

if TYPE_CHECKING:
    from umbel import Losses, RunView
    from umbel_mlflow.tracker import Tracker

_trackers: dict[str, Tracker] = {}  # by folder of the run


@hookimpl
def umbel_run_started(run: RunView) -> None:
    if not os.environ.get("MLFLOW_TRACKING_URI"):
        return
    from umbel_mlflow.tracker import Tracker

    _trackers[str(run.directory)] = Tracker(run)


@hookimpl
def umbel_step_finished(run: RunView, step: int, losses: Mapping[str, Losses], lr: float) -> None:
    tracker = _trackers.get(str(run.directory))
    if tracker is None or step % run.log_every:
        return
    values = {f"train/{name}/loss": float(value.total) for name, value in losses.items()}
    tracker.log({**values, "train/lr": lr}, step)


@hookimpl
def umbel_evaluated(run: RunView, step: int, scores: Mapping[str, float]) -> None:
    tracker = _trackers.get(str(run.directory))
    if tracker is not None:
        tracker.log(scores, step)


@hookimpl(trylast=True)
def umbel_run_finished(run: RunView, error: BaseException | None) -> None:
    tracker = _trackers.pop(str(run.directory), None)
    if tracker is not None:
        tracker.finish(run, error)
