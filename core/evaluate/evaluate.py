"""Scores of a model on the validation data of its tasks."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor
from torch.utils.data import Dataset
from torchmetrics import Metric

from umbel.contract.errors import DataError, PluginError
from umbel.contract.task import Task
from umbel.contract.types import LARGE, Sample
from umbel.data.datasets import dataset_length
from umbel.data.read_ahead import read_ahead
from umbel.data.sample_errors import read_sample
from umbel.data.worker_counts import reads_ahead
from umbel.evaluate.inference import host_tensor, predict
from umbel.evaluate.metric_states import apart, gather_states
from umbel.evaluate.score import check_formula, overall_score
from umbel.io.files import read_json
from umbel.io.step_shortage import of_evaluation
from umbel.registry.calls.fault import of_samples
from umbel.registry.calls.guard import verify
from umbel.registry.calls.kernels import deterministic_task
from umbel.registry.calls.owner import owner_of
from umbel.registry.calls.task_rules import SCORES
from umbel.runtime.base import Inference
from umbel.runtime.prefetch import copied_ahead

if TYPE_CHECKING:
    from umbel.report.collect import FigureCollector


def go_on() -> None:
    """Interrupts nothing."""


def evaluate(
    runtime: Inference,
    tasks: Mapping[str, Task[Any]],
    datasets: Mapping[str, Dataset[Sample]],
    formula: str,
    collector: FigureCollector | None = None,
    *,
    interrupt: Callable[[], None] = go_on,
) -> dict[str, float]:
    """Evaluate every task on its data set, image by image in original coordinates.

    Args:
        runtime: gives the forward pass and the weights to judge.
        tasks: tasks by name.
        datasets: validation data by task name.
        formula: overall score, see `umbel.evaluate.score`.
        collector: is shown every sample with its prediction, for the report.
        interrupt: called before every batch; what it raises ends the evaluation.

    Returns:
        Scores by "task/metric", and "score".
    """
    check_formula(formula, tasks)
    scores: dict[str, float] = {}
    for name, task in tasks.items():
        with of_evaluation(name, task.config.batch_size):
            of_task = evaluate_task(runtime, task, datasets[name], collector, interrupt)
        scores |= {f"{name}/{key}": value for key, value in of_task.items()}
    mains = {name: task.main_metric for name, task in tasks.items()}
    scores["score"] = overall_score(formula, scores, mains)
    return scores


def evaluate_task(
    runtime: Inference,
    task: Task[Any],
    dataset: Dataset[Sample],
    collector: FigureCollector | None = None,
    interrupt: Callable[[], None] = go_on,
) -> dict[str, float]:
    """Scores of one task by metric name; see `evaluate`."""
    metric = task.metric()
    reading = closing(predict_dataset(runtime, task, dataset, interrupt))
    with apart(), runtime.eval_mode(), deterministic_task(task.name), reading as predicted:
        for samples, predictions in predicted:
            with of_samples([sample.id for sample in samples]):
                metric.update(predictions, [sample.target for sample in samples])
            if collector is not None:
                for sample, prediction in zip(samples, predictions, strict=True):
                    collector.add(task.name, sample, prediction)
    gather_states(runtime, metric)
    return compute_scores(task, metric)


def predict_dataset(
    runtime: Inference, task: Task[Any], dataset: Dataset[Sample], interrupt: Callable[[], None] = go_on
) -> Generator[tuple[list[Sample], list[Any]], None, None]:
    """Batches of samples with their predictions, in order; to be run inside `runtime.eval_mode()`.

    Of several ranks each has a contiguous share of the batches: each sample is seen once, in a batch with the same
    others as with one process, and what the ranks gather in their order is in the order of the data. Rank 0, whose
    share the report shows, has images if there are any; others may have none.

    The next batch is read by a thread while one is predicted, unless the task's `workers` is 0.
    """
    length, size = dataset_length(dataset), task.config.batch_size
    starts = range(0, length, size)
    cut = [-(-len(starts) * rank // runtime.world_size) for rank in (runtime.rank, runtime.rank + 1)]
    share = range(cut[0] * size, min(cut[1] * size, length))

    def read(index: int) -> tuple[Sample, Tensor]:
        sample = read_sample(task, dataset, index)
        return sample, host_tensor(sample.image, runtime.device)

    def place(batch: list[tuple[Sample, Tensor]]) -> list[tuple[Sample, Tensor]]:
        return [(sample, image.to(runtime.device, non_blocking=True)) for sample, image in batch]

    ahead = size if reads_ahead({task.name: task}) else 0
    with (
        closing(read_ahead(read, share, ahead, _is_large)) as loaded,
        closing(copied_ahead(_batches(loaded, size), place, runtime.device)) as placed,
    ):
        for batch in placed:
            interrupt()
            samples, images = [sample for sample, _ in batch], [image for _, image in batch]
            with of_samples([sample.id for sample in samples]):
                predictions = predict(runtime, task, images)
            yield samples, predictions


def _is_large(read: tuple[Sample, Tensor]) -> bool:
    return read[1].shape[-2] * read[1].shape[-1] > LARGE


def _batches(loaded: Iterator[tuple[Sample, Tensor]], size: int) -> Iterator[list[tuple[Sample, Tensor]]]:
    while batch := list(islice(loaded, size)):
        yield batch


def compute_scores(task: Task[Any], metric: Metric) -> dict[str, float]:
    """What a task's metric says, as floats; PluginError if the main metric is not among it.

    It talks to no other rank: `gather_states` brings the states of all together before.
    """
    with apart(), warnings.catch_warnings():  # there may have been no image at all
        warnings.filterwarnings("ignore", "The ``compute`` method of metric", UserWarning)
        computed = metric.compute()
    verify(task, "metric().compute", SCORES, computed)
    scores = {key: float(value) for key, value in computed.items()}
    if task.main_metric not in scores:
        raise PluginError(
            f"the metric of {type(task).__name__} gives no '{task.main_metric}', its main metric",
            where=f"tasks.{task.name}",
            hint=f"{owner_of(task).method('metric().compute')} gives {', '.join(scores) or 'nothing'}",
        )
    return scores


def scores_to_json(scores: Mapping[str, float]) -> dict[str, float | None]:
    """Scores as JSON has them: null for a metric that is undefined on its data."""
    return {key: value if math.isfinite(value) else None for key, value in scores.items()}


def read_scores(path: Path) -> dict[str, float]:
    """The scores in a run's scores.json, undefined ones as NaN; DataError for a file of anything else."""
    stored = read_json(path)
    if not isinstance(stored, dict) or not all(value is None or _is_number(value) for value in stored.values()):
        raise DataError("is not a file of scores", where=str(path), hint="remove it and evaluate or train again")
    return {key: math.nan if value is None else float(value) for key, value in stored.items()}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300
