"""Curves for TensorBoard, under the run's folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from umbel.hooks import hookimpl
from umbel.types import Losses

if TYPE_CHECKING:
    from umbel.run import Run


class TensorBoardObserver:
    """Writes train/TASK/PART, train/lr and TASK/METRIC scalars."""

    def __init__(self) -> None:
        self.writer: Any = None

    @hookimpl
    def umbel_run_started(self, run: Run) -> None:
        from torch.utils.tensorboard import SummaryWriter

        purge = run.runtime.steps_done + 1 if run.runtime.steps_done else None
        self.writer = SummaryWriter(str(run.directory), purge_step=purge)  # type: ignore[no-untyped-call]

    @hookimpl
    def umbel_step_finished(self, run: Run, step: int, losses: Mapping[str, Losses], lr: float) -> None:
        if self.writer is None or step % run.recipe.train.log_every:
            return
        for name, value in losses.items():
            self.writer.add_scalar(f"train/{name}/loss", float(value.total), step)
            for part, loss in value.parts.items():
                self.writer.add_scalar(run.secrets.conceal(f"train/{name}/{part}"), float(loss), step)
        self.writer.add_scalar("train/lr", lr, step)

    @hookimpl
    def umbel_evaluated(self, run: Run, step: int, scores: Mapping[str, float]) -> None:
        for key, value in scores.items() if self.writer is not None else ():
            self.writer.add_scalar(run.secrets.conceal(key), value, step)

    @hookimpl
    def umbel_run_finished(self, run: Run, error: BaseException | None) -> None:
        if self.writer is not None:
            self.writer.close()
