"""Drawing a report's figures again from a trained run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from umbel.config.read import read_tree
from umbel.config.redact import Secrets
from umbel.contract.task import Task
from umbel.data.datasets import dataset_length, load_datasets
from umbel.evaluate.evaluate import evaluate
from umbel.io.run_folder import METRICS_FILE, RECIPE_FILE, RECORD_FILE, hold_around
from umbel.model.model import count_parameters
from umbel.predict.load import open_trained
from umbel.registry.plugins import Plugins
from umbel.report.collect import FigureCollector
from umbel.report.data import describe_data
from umbel.report.environment import describe_environment, describe_plugins
from umbel.report.history import read_history
from umbel.report.record import read_record, write_record
from umbel.report.run_report import open_report


def rebuild_figures(run: Path, checkpoint: str, plugins: Plugins) -> None:
    """Evaluate a checkpoint of a run and store its figures in report.json; what only training knew stays as it is."""
    open_report(run)  # says what is wrong with the folder before anything is loaded
    with hold_around(run, "umbel report"):
        _rebuild_figures(run, checkpoint, plugins)


def _rebuild_figures(run: Path, checkpoint: str, plugins: Plugins) -> None:
    recipe, tasks, runtime = open_trained(str(run), [], checkpoint, plugins)
    data = load_datasets(tasks, "val")
    collector = FigureCollector(tasks)
    evaluate(runtime, tasks, data, recipe.score, collector)
    record = read_record(run / RECORD_FILE)
    if not record.state:  # trained before there were reports
        steps = max([0.0, *read_history(run / METRICS_FILE).lr.x])
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
