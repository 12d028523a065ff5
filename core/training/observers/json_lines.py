"""`umbel train --json`: what happens, one JSON object a line on stdout, for programs that watch a run."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TextIO

from umbel.contract.hooks import hookimpl
from umbel.contract.types import Losses
from umbel.evaluate.evaluate import scores_to_json
from umbel.io.output import speak_to_machines, tolerant
from umbel.training.observers.memory import memory_text
from umbel.training.observers.pace import PaceMeter

if TYPE_CHECKING:
    from umbel.contract.run_view import RunView


class JsonLinesObserver:
    """Writes {"event": "started" | "step" | "evaluated" | "finished", ...}.

    Args:
        stream: where to; default: stdout.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = tolerant(stream or sys.stdout)
        if stream is None:
            speak_to_machines()
        self.meter: PaceMeter | None = None

    @hookimpl
    def umbel_run_started(self, run: RunView) -> None:
        self.meter = PaceMeter(run.images_per_step, run.steps_done, run.total_steps, time.perf_counter())
        self._write(
            "started",
            {
                "run": str(run.directory),
                "steps": run.total_steps,
                "step": run.steps_done,
                "epoch_steps": run.epoch_steps,
                "tasks": list(run.tasks),
                "device": run.device.type,
                "precision": run.precision,
            },
        )

    @hookimpl
    def umbel_step_finished(self, run: RunView, step: int, losses: Mapping[str, Losses], lr: float) -> None:
        if self.meter is None:
            return
        self.meter.count(losses)
        if step % run.log_every and step != run.total_steps:
            return
        pace = self.meter.at(step, time.perf_counter())
        self._write(
            "step",
            {
                "step": step,
                "epoch": round(step / max(1, run.epoch_steps), 3),
                "lr": lr,
                "losses": scores_to_json({name: float(value.total) for name, value in losses.items()}),
                "images_per_second": {name: round(rate, 2) for name, rate in pace.rates.items()},
                "seconds_left": round(pace.left, 1),
                "memory": memory_text(run.device),
            },
        )

    @hookimpl
    def umbel_evaluated(self, run: RunView, step: int, scores: Mapping[str, float]) -> None:
        self._write("evaluated", {"step": step, "scores": run.redacted(scores_to_json(scores))})

    @hookimpl
    def umbel_run_finished(self, run: RunView, error: BaseException | None) -> None:
        reason = None if error is None else run.redacted(f"{type(error).__name__}: {error}")
        best = scores_to_json({key: value for key, (value, _) in run.best.items()})
        self._write(
            "finished",
            {"step": run.steps_done, "minutes": round(run.minutes, 3), "best": best, "error": reason},
        )

    def _write(self, event: str, values: Mapping[str, Any]) -> None:
        print(json.dumps({"event": event, **values}), file=self.stream, flush=True)
