"""Curves for TensorBoard, under the run's folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from umbel.contract.hooks import hookimpl
from umbel.contract.types import Losses

if TYPE_CHECKING:
    from umbel.contract.run_view import RunView


class TensorBoardObserver:
    """Writes train/TASK/PART, train/lr and TASK/METRIC scalars."""

    def __init__(self) -> None:
        self.writer: Any = None

    @hookimpl
    def umbel_run_started(self, run: RunView) -> None:
        from torch.utils.tensorboard import SummaryWriter

        purge = run.steps_done + 1 if run.steps_done else None
        self.writer = SummaryWriter(str(run.directory), purge_step=purge)  # type: ignore[no-untyped-call]

    @hookimpl
    def umbel_step_finished(self, run: RunView, step: int, losses: Mapping[str, Losses], lr: float) -> None:
        if self.writer is None or step % run.log_every:
            return
        for name, value in losses.items():
            self.writer.add_scalar(f"train/{name}/loss", float(value.total), step)
            for part, loss in value.parts.items():
                self.writer.add_scalar(run.redacted(f"train/{name}/{part}"), float(loss), step)
        self.writer.add_scalar("train/lr", lr, step)

    @hookimpl
    def umbel_evaluated(self, run: RunView, step: int, scores: Mapping[str, float]) -> None:
        for key, value in scores.items() if self.writer is not None else ():
            self.writer.add_scalar(run.redacted(key), value, step)

    @hookimpl
    def umbel_run_finished(self, run: RunView, error: BaseException | None) -> None:
        if self.writer is not None:
            self.writer.close()
