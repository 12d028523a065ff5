"""The curves of a run, read from its metrics.jsonl."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from umbel.contract.figures import Line
from umbel.io.files import read_lines


@dataclass
class History:
    """What was logged.

    Attributes:
        losses: lines by task, the total first, then its parts.
        lr: the learning rate.
        scores: a line by "task/metric" and "score".
    """

    losses: dict[str, dict[str, Line]] = field(default_factory=dict)
    lr: Line = field(default_factory=lambda: Line("lr", [], []))
    scores: dict[str, Line] = field(default_factory=dict)

    def last(self, key: str) -> float | None:
        """The last value of a score."""
        line = self.scores.get(key)
        return line.y[-1] if line and line.y and math.isfinite(line.y[-1]) else None

    def best(self, key: str) -> tuple[float, int] | None:
        """The highest value of a score and the first step that reached it."""
        line = self.scores.get(key)
        known = [(y, -x) for x, y in zip(line.x, line.y, strict=True) if math.isfinite(y)] if line else []
        return (max(known)[0], int(-max(known)[1])) if known else None


def read_history(path: Path) -> History:
    """The history in a metrics.jsonl; lines that were cut or make no sense are passed over."""
    history = History()
    for text in read_lines(path) if path.exists() else []:
        try:
            _take(history, json.loads(text))
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
            continue
    return history


def _take(history: History, entry: dict[str, Any]) -> None:
    step = int(entry["step"])
    for task, parts in entry.get("losses", {}).items():
        lines = history.losses.setdefault(str(task), {})
        for part, value in parts.items():
            _add(lines.setdefault(str(part), Line(str(part), [], [])), step, value)
    if "lr" in entry:
        _add(history.lr, step, entry["lr"])
    for key, value in entry.get("scores", {}).items():
        _add(history.scores.setdefault(str(key), Line(str(key), [], [])), step, value)


def _add(line: Line, step: int, value: Any) -> None:
    line.x.append(float(step))
    line.y.append(math.nan if value is None else float(value))
