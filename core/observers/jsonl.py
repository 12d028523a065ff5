"""metrics.jsonl: one JSON object a line, for programs."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from umbel.hooks import hookimpl
from umbel.types import Losses

if TYPE_CHECKING:
    from umbel.run import Run


class JsonlObserver:
    """Appends {"step", "lr", "losses"} every logged step and {"step", "scores"} every evaluation."""

    def __init__(self) -> None:
        self.path = Path()

    @hookimpl
    def umbel_run_started(self, run: Run) -> None:
        self.path = run.directory / "metrics.jsonl"
        lines = self.path.read_text().splitlines() if self.path.exists() and run.runtime.steps_done else []
        kept = [line for line in lines if json.loads(line)["step"] <= run.runtime.steps_done]
        self.path.write_text("".join(f"{line}\n" for line in kept))

    @hookimpl
    def umbel_step_finished(self, run: Run, step: int, losses: Mapping[str, Losses], lr: float) -> None:
        if step % run.recipe.train.log_every and step != run.total_steps:
            return
        values = {
            name: {"total": float(value.total), **{part: float(loss) for part, loss in value.parts.items()}}
            for name, value in losses.items()
        }
        self._append({"step": step, "lr": lr, "losses": values})

    @hookimpl
    def umbel_evaluated(self, run: Run, step: int, scores: Mapping[str, float]) -> None:
        self._append({"step": step, "minutes": round(run.minutes, 3), "scores": dict(scores)})

    def _append(self, entry: dict[str, Any]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({**entry, "time": round(time.time(), 2)}) + "\n")
