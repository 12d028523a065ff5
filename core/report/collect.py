"""Gathering the figures of all tasks while they are evaluated; a task's fault costs its figures, never the run."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from umbel.contract.defaults import reporter_of
from umbel.contract.figures import Figure
from umbel.contract.reporter import Reporter
from umbel.contract.task import Task
from umbel.contract.types import Sample

log = logging.getLogger(__name__)


class FigureCollector:
    """The reporters of some tasks, held at arm's length.

    Args:
        tasks: tasks by name.

    Attributes:
        images: samples seen, by task.
        faults: what went wrong, by task.
    """

    def __init__(self, tasks: Mapping[str, Task[Any]]) -> None:
        self.images = dict.fromkeys(tasks, 0)
        self.faults: dict[str, str] = {}
        self._reporters: dict[str, Reporter] = {}
        for name, task in tasks.items():
            try:
                self._reporters[name] = reporter_of(task)
            except Exception as error:
                self._fail(name, error)

    def add(self, task: str, sample: Sample, prediction: Any) -> None:
        """Show a task's reporter one sample."""
        self.images[task] += 1
        try:
            if task in self._reporters:
                self._reporters[task].add(sample, prediction)
        except Exception as error:
            self._fail(task, error)

    def figures(self) -> dict[str, list[Figure]]:
        """Figures by task, in the order of the tasks."""
        made: dict[str, list[Figure]] = {}
        for name in self.images:
            try:
                made[name] = list(self._reporters[name].figures()) if name in self._reporters else []
            except Exception as error:
                self._fail(name, error)
                made[name] = []
        return made

    def _fail(self, task: str, error: Exception) -> None:
        self._reporters.pop(task, None)
        self.faults[task] = f"{type(error).__name__}: {error}"
        log.warning("report: no figures of task '%s': %s", task, self.faults[task])
