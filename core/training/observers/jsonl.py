"""metrics.jsonl: one JSON object a line, for programs."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from umbel.contract.hooks import hookimpl
from umbel.contract.types import Losses
from umbel.evaluate.evaluate import scores_to_json
from umbel.io.run_folder import METRICS_FILE

if TYPE_CHECKING:
    from umbel.contract.run_view import RunView


class JsonlObserver:
    """Appends {"step", "lr", "losses"} every logged step and {"step", "scores"} every evaluation."""

    def __init__(self) -> None:
        self.path = Path()

    @hookimpl
    def umbel_run_started(self, run: RunView) -> None:
        self.path = run.directory / METRICS_FILE
        resumed = self.path.exists() and run.steps_done > 0
        lines = self.path.read_text(encoding="utf-8", errors="replace").splitlines() if resumed else []
        kept = [line for line in lines if _step(line) <= run.steps_done]
        self.path.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")

    @hookimpl
    def umbel_step_finished(self, run: RunView, step: int, losses: Mapping[str, Losses], lr: float) -> None:
        if step % run.log_every and step != run.total_steps:
            return
        values = {
            name: scores_to_json({"total": float(value.total)} | {k: float(loss) for k, loss in value.parts.items()})
            for name, value in losses.items()
        }
        self._append({"step": step, "lr": lr, "losses": run.redacted(values)})

    @hookimpl
    def umbel_evaluated(self, run: RunView, step: int, scores: Mapping[str, float]) -> None:
        self._append({"step": step, "minutes": round(run.minutes, 3), "scores": run.redacted(scores_to_json(scores))})

    def _append(self, entry: dict[str, Any]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({**entry, "time": round(time.time(), 2)}) + "\n")


def _step(line: str) -> float:
    """The step of a line; infinite for one that was cut when its writer was stopped."""
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return math.inf
