"""The live view of a terminal: a bar for the run and a line for every task."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from umbel.io.text import printable
from umbel.training.observers.pace import Pace
from umbel.training.observers.text import duration_text


class LiveView:
    """Redraws in place; everything written to the console meanwhile appears above it.

    Args:
        console: a terminal.
        tasks: names of the tasks, in order.
        epoch_steps: steps of an epoch.
    """

    def __init__(self, console: Console, tasks: list[str], epoch_steps: int) -> None:
        self.tasks = tasks
        self.epoch_steps = epoch_steps
        self.losses: dict[str, str] = {}
        self.scores: dict[str, str] = {}
        self.pace: Pace | None = None
        self.lr = 0.0
        self.memory = ""
        self.live = Live(console=console, refresh_per_second=4, get_renderable=self.render, transient=False)

    def start(self) -> None:
        self.live.start(refresh=False)

    def stop(self) -> None:
        self.live.stop()

    def show_step(self, pace: Pace, losses: Mapping[str, str], lr: float, memory: str) -> None:
        """Take over what a logged step said."""
        self.pace, self.lr, self.memory = pace, lr, memory
        self.losses.update(losses)

    def show_scores(self, scores: Mapping[str, float]) -> None:
        """Take over the scores of an evaluation, which stay until the next one."""
        for task in self.tasks:
            mine = {key.partition("/")[2]: value for key, value in scores.items() if key.startswith(f"{task}/")}
            self.scores[task] = "  ".join(f"{key} {value:.4f}" for key, value in mine.items())
        self.scores[""] = f"{scores['score']:.4f}" if "score" in scores else ""

    def render(self) -> RenderableType:
        """The view as it stands; plain text of any file name is never read as markup."""
        if self.pace is None:
            return Text("first step …")
        pace = self.pace
        top = Table.grid(padding=(0, 2))
        top.add_row(
            ProgressBar(total=pace.total, completed=pace.step, width=24),
            Text(f"step {pace.step}/{pace.total}", style="bold"),
            Text(f"epoch {pace.step / max(1, self.epoch_steps):.1f}"),
            Text(f"{duration_text(pace.left)} left"),
            Text(f"lr {self.lr:.2e}"),
            Text(self.memory),
        )
        body = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        for name, side in (("task", "left"), ("loss", "right"), ("images/s", "right"), ("last scores", "left")):
            body.add_column(name, justify="right" if side == "right" else "left", overflow="ellipsis", no_wrap=True)
        for task in self.tasks:
            rate = pace.rates.get(task, 0.0)
            cells = (task, self.losses.get(task, ""), f"{rate:.1f}", self.scores.get(task, ""))
            body.add_row(*(Text(printable(cell)) for cell in cells))
        score = f"score {self.scores['']}" if self.scores.get("") else ""
        total = ("all", "", f"{sum(pace.rates.values()):.1f}", score)
        body.add_row(*(Text(cell, style="bold") for cell in total))
        return Group(top, body)
