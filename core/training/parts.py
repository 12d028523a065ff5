"""What a run must remember: parts that each know their own state, in one mapping that saving and resuming walk."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Protocol

from umbel.contract.task import Task
from umbel.data.bad_samples import CorruptSamples
from umbel.schedule.early_stop import EarlyStop
from umbel.training.guard import Guard


class Stateful(Protocol):
    """A part with state."""

    def state_dict(self) -> Any:
        """What a checkpoint keeps of it, as JSON types."""

    def load_state_dict(self, state: Any) -> None:
        """Go on from what `state_dict` gave."""


class BestScores:
    """The best value so far of each score that a `best` file of the checkpoints follows, among what has been saved.

    Args:
        tasks: by name; each has a file for its main metric, and one follows the overall score.
    """

    def __init__(self, tasks: Mapping[str, Task[Any]]) -> None:
        self.pointers = {f"best-{name}": f"{name}/{task.main_metric}" for name, task in tasks.items()}
        self.pointers["best"] = "score"
        self.values: dict[str, list[float]] = {}

    def update(self, scores: Mapping[str, float], step: int) -> list[str]:
        """Take an evaluation after `step` steps; the files whose scores are now the best."""
        improved = []
        for pointer, key in self.pointers.items():
            if scores[key] > self.values.get(key, [float("-inf")])[0]:
                self.values[key] = [scores[key], step]
                improved.append(pointer)
        return improved

    def state_dict(self) -> dict[str, list[float]]:
        return {key: list(value) for key, value in self.values.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.values = {key: [float(score), int(step)] for key, (score, step) in state.items()}


class TrainingTime:
    """Minutes of training so far, evaluations included, resumed parts added up; it stands still between `lap`s."""

    def __init__(self) -> None:
        self.minutes = 0.0
        self._since: float | None = None

    def start(self) -> None:
        """Count from now on."""
        self._since = time.perf_counter()

    def lap(self) -> None:
        """Add what has passed since the start or the last lap."""
        now = time.perf_counter()
        if self._since is not None:
            self.minutes += (now - self._since) / 60
            self._since = now

    def state_dict(self) -> float:
        return self.minutes

    def load_state_dict(self, state: float) -> None:
        self.minutes = float(state)


class EvaluationDone:
    """Whether no evaluation of the present step is outstanding; a resumed run makes up for one that is."""

    def __init__(self) -> None:
        self.done = True

    def state_dict(self) -> bool:
        return self.done

    def load_state_dict(self, state: bool) -> None:
        self.done = bool(state)


@dataclass
class Parts:
    """The parts of a run that have state. A field's name is its key in a checkpoint's state; a new part is a new field.

    What tensors hold, the balancer's too, is the model's, the optimizer's and the average's: `runtime_state` saves it.

    Args:
        guard: what happens to steps that are not finite, and how many there were.
        bad_samples: training samples that could not be read and were replaced.
        best: best value so far by score key, and the step it was reached at.
        early_stop: judges whether the run may end before its last step.
        minutes: training time so far.
        evaluated: no evaluation of the present step is outstanding.
    """

    guard: Guard
    bad_samples: CorruptSamples
    best: BestScores
    early_stop: EarlyStop
    minutes: TrainingTime = field(default_factory=TrainingTime)
    evaluated: EvaluationDone = field(default_factory=EvaluationDone)

    @classmethod
    def names(cls) -> tuple[str, ...]:
        return tuple(one.name for one in fields(cls))

    def __iter__(self) -> Iterator[tuple[str, Stateful]]:
        """Every part with its name."""
        return ((name, getattr(self, name)) for name in self.names())

    def state_dict(self) -> dict[str, Any]:
        """The state of all parts by name, as JSON types."""
        return {name: part.state_dict() for name, part in self}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from the state of all parts; KeyError names one that is not there."""
        for name, part in self:
            part.load_state_dict(state[name])
