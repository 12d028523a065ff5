"""report.json: what only the training process knows, kept so that the page can be built again without data or model."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from umbel.data.files import read_json, write_json
from umbel.errors import DataError
from umbel.model import count_parameters
from umbel.observers.pace import images_per_step
from umbel.report.data import describe_data
from umbel.report.environment import describe_environment, describe_plugins
from umbel.report.figures import Figure, figure_from_json, figure_to_json
from umbel.secrets import Secrets

if TYPE_CHECKING:
    from umbel.run import Run

_FIGURES = ("figures", "data")
_TOLD = ("state", "faults", "environment", "plugins")  # text for people; the rest is names of the recipe, and numbers
_NOT_TOLD = ("figure", "jpeg")  # of a figure: which it is, and what no text stands in


@dataclass
class Record:
    """The stored part of a report.

    Attributes:
        state: "finished", or what ended the run.
        steps: done, and in all.
        minutes: training time.
        parameters: of the model, and of its backbone.
        tasks: by name: kind, main metric, sizes of its data, input size, images a step.
        seconds: [part, task, seconds] a step, measured over `timed_steps`.
        timed_steps: steps measured.
        figures: by task.
        images: evaluated samples behind the figures, by task.
        data: tables about the training data, by task.
        faults: why a task has no figures, by task.
        environment: versions and hardware.
        plugins: role, name, distribution and version.
    """

    state: str = "finished"
    steps: list[int] = field(default_factory=lambda: [0, 0])
    minutes: float = 0.0
    parameters: list[int] = field(default_factory=lambda: [0, 0])
    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)
    seconds: list[list[Any]] = field(default_factory=list)
    timed_steps: int = 0
    figures: dict[str, list[Figure]] = field(default_factory=dict)
    images: dict[str, int] = field(default_factory=dict)
    data: dict[str, list[Figure]] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    plugins: list[list[str]] = field(default_factory=list)


def record_run(run: Run, error: BaseException | None) -> Record:
    """What there is to keep of a run that has ended."""
    model = run.runtime.model
    sizes = [count_parameters(part) for part in (model, model.backbone)]
    images = images_per_step(run)
    tasks = {
        name: {
            "kind": task.config.kind,
            "main": task.main_metric,
            "train": len(run.train_data.get(name, ())),  # type: ignore[arg-type]
            "val": len(run.val_data[name]),  # type: ignore[arg-type]
            "input_size": list(task.config.input_size),
            "images": images[name],
        }
        for name, task in run.tasks.items()
    }
    steps = max(1, run.clock.steps)
    data = {name: describe_data(task) for name, task in run.tasks.items()}
    figures = run.collector.figures() if run.collector is not None and error is None else {}
    return Record(
        state="finished" if error is None else f"stopped: {type(error).__name__}: {error}",
        steps=[run.runtime.steps_done, run.total_steps],
        minutes=run.minutes,
        parameters=sizes,
        tasks=tasks,
        seconds=[[part, task, seconds / steps] for (part, task), seconds in run.clock.seconds.items()],
        timed_steps=run.clock.steps,
        figures=figures,
        data=data,
        images=dict(run.collector.images) if run.collector is not None else {},
        faults=dict(run.collector.faults) if run.collector is not None else {},
        environment=describe_environment(run.runtime.device, run.runtime.precision),
        plugins=describe_plugins(run.plugins),
    )


def write_record(path: Path, record: Record, secrets: Secrets) -> None:
    """Write report.json, without what the recipe takes from the environment."""
    stored = dict(vars(record))
    for key in _FIGURES:
        stored[key] = {
            name: [_concealed(figure_to_json(one), secrets) for one in figures] for name, figures in stored[key].items()
        }
    for key in _TOLD:
        stored[key] = _concealed(stored[key], secrets)
    write_json(path, _without_nan(stored))


def read_record(path: Path) -> Record:
    """Read report.json; DataError where it is not one, and an empty record where there is none."""
    if not path.exists():
        return Record(state="", steps=[0, 0])
    stored = read_json(path)
    where = str(path)
    try:
        known = {key: value for key, value in stored.items() if key in Record.__dataclass_fields__}
        for key in _FIGURES:
            known[key] = {
                name: [figure_from_json(one, where) for one in figures] for name, figures in known.get(key, {}).items()
            }
        return Record(**known)
    except (AttributeError, TypeError, ValueError) as error:
        raise DataError(f"is not a report's record: {error}", where=where, hint="remove it and report again") from None


def _concealed(value: Any, secrets: Secrets) -> Any:
    """Texts without secrets; keys are those of figures, tasks and tables."""
    if isinstance(value, dict):
        return {key: item if key in _NOT_TOLD else _concealed(item, secrets) for key, item in value.items()}
    return [_concealed(item, secrets) for item in value] if isinstance(value, (list, tuple)) else secrets.conceal(value)


def _without_nan(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(item) for item in value]
    return value
