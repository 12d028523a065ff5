"""A run's folder as a report sees it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from umbel.contract.errors import CheckpointError
from umbel.io.files import read_text
from umbel.io.run_folder import METRICS_FILE, RECIPE_FILE, RECORD_FILE
from umbel.report.history import History, read_history
from umbel.report.record import Record, read_record


@dataclass(frozen=True)
class RunReport:
    """Everything a page about a run is made of.

    Attributes:
        name: of its folder.
        title: the same behind the folder it is in, as most runs are called "run" or "first".
        record: what training left; empty for a run that was trained before there were reports.
        history: its curves.
        recipe: its recipe as text, interpolations unresolved.
    """

    name: str
    title: str
    record: Record
    history: History
    recipe: str

    @property
    def tasks(self) -> list[str]:
        """Names of its tasks, in the order of the recipe where that is known."""
        return list(self.record.tasks or self.history.losses)

    def main_score(self, task: str) -> str:
        """The key of a task's main metric, or "" where it is not known."""
        of_task = [key for key in self.history.scores if key.startswith(f"{task}/")]
        main = self.record.tasks.get(task, {}).get("main")
        return f"{task}/{main}" if main else (of_task[0] if of_task else "")


def open_report(directory: Path) -> RunReport:
    """Read a run's folder; CheckpointError where it is none."""
    recipe = directory / RECIPE_FILE
    if not recipe.is_file():
        raise CheckpointError(
            "is not a run: it has no recipe.yaml", where=str(directory), hint="give the folder of a run"
        )
    resolved = directory.resolve()
    return RunReport(
        resolved.name,
        f"{resolved.parent.name}/{resolved.name}",
        read_record(directory / RECORD_FILE),
        read_history(directory / METRICS_FILE),
        read_text(recipe),
    )
