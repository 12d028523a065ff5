"""What a report says about a task's training data."""

from __future__ import annotations

import logging
from typing import Any

from umbel.contract.defaults import statistics_of
from umbel.contract.figures import Figure, TableFigure
from umbel.contract.task import Task

log = logging.getLogger(__name__)


def describe_data(task: Task[Any]) -> list[Figure]:
    """The task's own tables about its training data, held-out part included; none where it cannot be read any more."""
    try:
        tables = statistics_of(task, "train")
    except Exception as error:  # a report is not worth a run
        log.warning("report: the data of task '%s' was not described: %s: %s", task.name, type(error).__name__, error)
        return []
    return [
        TableFigure(
            f"{'Training and held-out' if task.config.holdout else 'Training'} data: {table.title}",
            list(table.columns),
            [list(row) for row in table.rows],
            "; ".join(table.findings),
        )
        for table in tables
    ]
