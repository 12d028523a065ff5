"""report.json: what only the training process knows, kept so that the page can be built again without data or model."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Protocol

from umbel.config.redact import Secrets
from umbel.contract.errors import DataError
from umbel.contract.figures import (
    BarFigure,
    CurveFigure,
    Example,
    ExampleFigure,
    Figure,
    Line,
    MatrixFigure,
    Picture,
    TableFigure,
)
from umbel.contract.run_view import RunView
from umbel.io.files import read_json, write_json
from umbel.model.model import count_parameters
from umbel.registry.plugins import Plugins
from umbel.report.collect import FigureCollector
from umbel.report.data import describe_data
from umbel.report.environment import describe_environment, describe_plugins

log = logging.getLogger(__name__)

_FIGURES = ("figures", "data")

_TOLD = ("state", "faults", "environment", "plugins")  # text for people; the rest is names of the recipe, and numbers

_NOT_REDACTED = ("figure", "jpeg")  # of a figure: which it is, and what no text stands in


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
        step_flops: floating-point operations of one device in a mean step of these; 0 where the run was on no GPU.
        step_images: images of all devices in a mean step of these; 0 likewise.
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
    step_flops: float = 0.0
    step_images: float = 0.0
    figures: dict[str, list[Figure]] = field(default_factory=dict)
    images: dict[str, int] = field(default_factory=dict)
    data: dict[str, list[Figure]] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    plugins: list[list[str]] = field(default_factory=list)


class ReportedRun(RunView, Protocol):
    """A run as its report needs it: what observers see, and what only training knew.

    Attributes:
        val_samples: number of validation samples by task name.
        seconds: seconds by part of a step and task, over all steps that were timed.
        timed_steps: how many these were.
        timed_shares: share of these that each trained task took part in.
        collector: gathers the figures of the report in the last evaluation; None before it.
        plugins: what the run was built with.
        secrets: what the recipe takes from the environment.
    """

    @property
    def val_samples(self) -> Mapping[str, int]: ...

    @property
    def seconds(self) -> Mapping[tuple[str, str], float]: ...

    @property
    def timed_steps(self) -> int: ...

    @property
    def timed_shares(self) -> Mapping[str, float]: ...

    @property
    def collector(self) -> FigureCollector | None: ...

    @property
    def plugins(self) -> Plugins: ...

    @property
    def secrets(self) -> Secrets: ...

    def count_flops(self) -> float:
        """Floating-point operations of one device in a mean timed step."""


def record_run(run: ReportedRun, error: BaseException | None) -> Record:
    """What there is to keep of a run that has ended."""
    sizes = [count_parameters(part) for part in (run.model, run.model.get_submodule("backbone"))]
    tasks = {
        name: {
            "kind": task.config.kind,
            "main": task.main_metric,
            "train": run.samples.get(name, 0),
            "val": run.val_samples[name],
            "input_size": list(task.config.input_size),
            "images": run.images_per_step[name],
        }
        for name, task in run.tasks.items()
    }
    steps = max(1, run.timed_steps)
    flops, images = _mean_work(run)
    data = {name: describe_data(task) for name, task in run.tasks.items()}
    figures = run.collector.figures() if run.collector is not None and error is None else {}
    return Record(
        state="finished" if error is None else f"stopped: {type(error).__name__}: {error}",
        steps=[run.steps_done, run.total_steps],
        minutes=run.minutes,
        parameters=sizes,
        tasks=tasks,
        seconds=[[part, task, seconds / steps] for (part, task), seconds in run.seconds.items()],
        timed_steps=run.timed_steps,
        step_flops=flops,
        step_images=images,
        figures=figures,
        data=data,
        images=dict(run.collector.images) if run.collector is not None else {},
        faults=dict(run.collector.faults) if run.collector is not None else {},
        environment=describe_environment(run.device, run.precision),
        plugins=describe_plugins(run.plugins),
    )


def _mean_work(run: ReportedRun) -> tuple[float, float]:
    """Operations of a device, and images of all, in a mean timed step of a run on GPUs; zeros where it was on none."""
    if run.device.type != "cuda" or not run.timed_steps:
        return 0.0, 0.0
    images = sum(share * run.images_per_step[name] for name, share in run.timed_shares.items())
    try:
        return run.count_flops(), images
    except Exception as error:  # a head may do what only works on data
        log.warning("report: what a step computes was not counted: %s: %s", type(error).__name__, error)
        return 0.0, images


def write_record(path: Path, record: Record, secrets: Secrets) -> None:
    """Write report.json, without what the recipe takes from the environment."""
    stored = dict(vars(record))
    for key in _FIGURES:
        stored[key] = {
            name: [_redacted(figure_to_json(one), secrets) for one in figures] for name, figures in stored[key].items()
        }
    for key in _TOLD:
        stored[key] = _redacted(stored[key], secrets)
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


def _redacted(value: Any, secrets: Secrets) -> Any:
    """Texts without secrets; keys are those of figures, tasks and tables."""
    if isinstance(value, dict):
        return {key: item if key in _NOT_REDACTED else _redacted(item, secrets) for key, item in value.items()}
    return [_redacted(item, secrets) for item in value] if isinstance(value, (list, tuple)) else secrets.redact(value)


def _without_nan(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(item) for item in value]
    return value


_KINDS: Mapping[str, type[Any]] = {
    "table": TableFigure, "bars": BarFigure, "curves": CurveFigure, "matrix": MatrixFigure, "examples": ExampleFigure
}  # fmt: skip


def figure_to_json(figure: Figure) -> dict[str, Any]:
    """A figure as JSON types; `figure_from_json` makes it whole again."""
    kind = next(kind for kind, of in _KINDS.items() if isinstance(figure, of))
    return {"figure": kind, **asdict(figure)}


def figure_from_json(value: Any, where: str) -> Figure:
    """A figure from what `figure_to_json` gave; DataError names the file for anything else."""
    try:
        of = _KINDS[value["figure"]]
        known = {f.name: value[f.name] for f in fields(of) if f.name in value}
        if of is CurveFigure:
            known["lines"] = [Line(str(one["name"]), _numbers(one["x"]), _numbers(one["y"])) for one in known["lines"]]
        if of is ExampleFigure:
            known["examples"] = [
                Example(str(one["caption"]), [_picture(p) for p in one["pictures"]]) for one in known["examples"]
            ]
        made: Figure = of(**known)
        return made
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"holds a figure that cannot be read: {type(error).__name__}: {error}",
            where=where,
            hint="write it again: umbel report RUN --evaluate",
        ) from None


def _numbers(values: Any) -> list[float]:
    return [float(value) for value in values]


def _picture(value: Any) -> Picture:
    return Picture(str(value["label"]), str(value["jpeg"]), int(value.get("width", 0)), int(value.get("height", 0)))
