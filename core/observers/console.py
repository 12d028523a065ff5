"""Live progress on the terminal, plain lines elsewhere; always to stderr."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from umbel.hooks import hookimpl
from umbel.observers.text import duration_text, losses_text, scores_text
from umbel.types import Losses

if TYPE_CHECKING:
    from umbel.run import Run


class ConsoleObserver:
    """Shows step, losses of every task, images per second and time left."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False, markup=False)
        self.progress: Progress | None = None
        self.bar: TaskID | None = None
        self.started = 0.0
        self.first_step = 0

    @hookimpl
    def umbel_run_started(self, run: Run) -> None:
        self.started = time.perf_counter()
        self.first_step = run.runtime.steps_done
        names = ", ".join(f"{name} ({len(data)})" for name, data in run.train_data.items())  # type: ignore[arg-type]
        parameters = run.runtime.model.parameters()
        millions = sum(getattr(p, "ds_numel", p.numel()) for p in parameters) / 1e6  # sharded ones look empty
        self.console.print(
            f"{run.directory}: {run.total_steps} steps, {names}, {millions:.1f} M parameters, "
            f"{run.runtime.device.type} {run.runtime.precision}",
            soft_wrap=True,
        )
        if self.console.is_terminal:
            columns = (TextColumn("{task.completed}/{task.total}"), BarColumn(), TextColumn("{task.description}"))
            self.progress = Progress(*columns, console=self.console)
            self.progress.start()
            self.bar = self.progress.add_task("", total=run.total_steps, completed=self.first_step)

    @hookimpl
    def umbel_step_finished(self, run: Run, step: int, losses: Mapping[str, Losses], lr: float) -> None:
        if step % run.recipe.train.log_every and step != run.total_steps:
            return
        elapsed = time.perf_counter() - self.started
        done = step - self.first_step
        parts = run.runtime.world_size * run.recipe.train.accumulate
        rate = done * parts * sum(task.config.batch_size for task in run.tasks.values()) / elapsed
        left = duration_text((run.total_steps - step) * elapsed / done)
        text = f"{losses_text(losses)}  lr {lr:.2e}  {rate:.1f} images/s  {left} left"
        if self.progress is not None and self.bar is not None:
            self.progress.update(self.bar, completed=step, description=text)
        else:
            self.console.print(f"step {step}/{run.total_steps}  {text}", soft_wrap=True)

    @hookimpl
    def umbel_evaluated(self, run: Run, step: int, scores: Mapping[str, float]) -> None:
        self.console.print(f"evaluated at step {step}: {scores_text(scores)}", soft_wrap=True)

    @hookimpl
    def umbel_run_finished(self, run: Run, error: BaseException | None) -> None:
        if self.progress is not None:
            self.progress.stop()
