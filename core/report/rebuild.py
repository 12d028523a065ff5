"""`umbel report`: pages built again from what runs left."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from umbel.data.files import write_bytes
from umbel.data.loader import dataset_length, load_datasets
from umbel.errors import DataError
from umbel.evaluation import evaluate
from umbel.lock import hold_around
from umbel.model import count_parameters
from umbel.plugins import Plugins
from umbel.recipe import read_tree
from umbel.report.collect import FigureCollector
from umbel.report.comparison import comparison_page
from umbel.report.data import describe_data
from umbel.report.environment import describe_environment, describe_plugins
from umbel.report.history import read_history
from umbel.report.open import open_report
from umbel.report.page import run_page
from umbel.report.record import read_record, write_record
from umbel.run_folder import RECIPE_FILE, RECORD_FILE, REPORT, REPORT_FILE
from umbel.secrets import Secrets
from umbel.task import Task
from umbel.trained import open_trained
from umbel.written import write_new


def write_report(run: Path, out: Path | None = None) -> Path:
    """Build the page of a run from its stored figures; returns the file."""
    path = out or run / REPORT_FILE
    with _page(path):
        write_bytes(path, _built(lambda: run_page(open_report(run)), [run]))
    return path


def write_comparison(runs: Sequence[Path], out: Path) -> Path:
    """Build the page of several runs; returns the file."""
    with _page(out):
        write_bytes(out, _built(lambda: comparison_page([open_report(run) for run in runs]), runs))
    return out


def _built(page: Callable[[], str], runs: Sequence[Path]) -> bytes:
    """The bytes of a page; DataError where a record holds what umbel does not write, which only drawing it shows."""
    try:
        return page().encode()
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise DataError(
            f"cannot be shown: {type(error).__name__}: {error}",
            where=" or ".join(str(run / RECORD_FILE) for run in runs),
            hint="write it again: umbel report RUN --evaluate",
        ) from error


@contextmanager
def _page(path: Path) -> Iterator[None]:
    """Within it the page may be written: nobody else writes the run that it lies in, and it replaces no other file."""
    with hold_around(path, "umbel report"), write_new(path, REPORT, replace=_is_page(path)):
        yield


def _is_page(path: Path) -> bool:
    """Whether a file is a report, of a run that was trained before there were records of what is written, too."""
    try:
        with path.open("rb") as file:
            start = file.read(4096)
    except OSError:
        return False
    return start.startswith(b"<!doctype html>") and " \u00b7 umbel</title>".encode() in start


def rebuild_figures(run: Path, checkpoint: str) -> None:
    """Evaluate a checkpoint of a run and store its figures in report.json; what only training knew stays as it is."""
    open_report(run)  # says what is wrong with the folder before anything is loaded
    with hold_around(run, "umbel report"):
        _rebuild_figures(run, checkpoint)


def _rebuild_figures(run: Path, checkpoint: str) -> None:
    plugins = Plugins.discover()
    recipe, tasks, runtime = open_trained(str(run), [], checkpoint, plugins)
    data = load_datasets(tasks, "val")
    collector = FigureCollector(tasks)
    evaluate(runtime, tasks, data, recipe.score, collector)
    record = read_record(run / RECORD_FILE)
    if not record.state:  # trained before there were reports
        steps = max([0.0, *read_history(run / "metrics.jsonl").lr.x])
        record.steps = [int(steps), recipe.train.steps or int(steps)]
        record.parameters = [count_parameters(part) for part in (runtime.model, runtime.model.backbone)]
        record.environment = describe_environment(runtime.device, runtime.precision)
        record.plugins = describe_plugins(plugins)
    for name, task in tasks.items():
        record.data[name] = describe_data(task)
        record.tasks.setdefault(name, _about(task, dataset_length(data[name])))
    record.figures, record.images = collector.figures(), collector.images
    record.faults = collector.faults
    write_record(run / RECORD_FILE, record, Secrets.of(read_tree(str(run / RECIPE_FILE), plugins)))


def _about(task: Task[Any], validation_images: int) -> dict[str, Any]:
    config = task.config
    return {
        "kind": config.kind,
        "main": task.main_metric,
        "train": dataset_length(load_datasets({task.name: task}, "train")[task.name]),
        "val": validation_images,
        "input_size": list(config.input_size),
        "images": config.batch_size,
    }
