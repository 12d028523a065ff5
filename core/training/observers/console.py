"""Live progress on the terminal, plain lines elsewhere; always to stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.console import Console

from umbel.contract.hooks import hookimpl
from umbel.contract.types import Losses
from umbel.io.output import tolerant
from umbel.io.text import printable
from umbel.model.model import count_parameters
from umbel.training.observers.live import LiveView
from umbel.training.observers.memory import memory_text
from umbel.training.observers.pace import PaceMeter
from umbel.training.observers.text import duration_text, losses_text, scores_text

if TYPE_CHECKING:
    from umbel.contract.run_view import RunView


class ConsoleObserver:
    """Shows step, epoch, time left, losses and images/s of every task, memory, and the last scores.

    Args:
        console: where to write; default: stderr.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(file=tolerant(sys.stderr), highlight=False, markup=False)
        self.view: LiveView | None = None
        self.meter: PaceMeter | None = None

    @hookimpl
    def umbel_run_started(self, run: RunView) -> None:
        self.meter = PaceMeter(run.images_per_step, run.steps_done, run.total_steps, time.perf_counter())
        names = ", ".join(f"{printable(name)} ({count})" for name, count in run.samples.items())
        millions = count_parameters(run.model) / 1e6
        self.console.print(
            f"{printable(str(run.directory))}: {run.total_steps} steps, {names}, {millions:.1f} M parameters, "
            f"{run.device.type} {run.precision}",
            soft_wrap=True,
        )
        if self.console.is_terminal:
            self.view = LiveView(self.console, list(run.tasks), run.epoch_steps)
            self.view.start()

    @hookimpl
    def umbel_step_finished(self, run: RunView, step: int, losses: Mapping[str, Losses], lr: float) -> None:
        if self.meter is None:
            return
        self.meter.count(losses)
        if step % run.log_every and step != run.total_steps:
            return
        pace, memory = self.meter.at(step, time.perf_counter()), memory_text(run.device)
        if self.view is not None:
            shown = {name: f"{float(value.total):.4f}" for name, value in losses.items()}
            self.view.show_step(pace, shown, lr, memory)
            return
        rate = f"{sum(pace.rates.values()):.1f} images/s"
        epoch = f"epoch {step / max(1, run.epoch_steps):.1f}"
        parts = (losses_text(losses), f"lr {lr:.2e}", epoch, rate, memory, f"{duration_text(pace.left)} left")
        line = printable("  ".join(filter(None, parts)))
        self.console.print(f"step {step}/{run.total_steps}  {line}", soft_wrap=True)

    @hookimpl
    def umbel_evaluated(self, run: RunView, step: int, scores: Mapping[str, float]) -> None:
        if self.view is not None:
            self.view.show_scores(scores)
        self.console.print(f"evaluated at step {step}: {printable(scores_text(scores))}", soft_wrap=True)

    @hookimpl
    def umbel_run_finished(self, run: RunView, error: BaseException | None) -> None:
        if self.view is not None:
            self.view.stop()
