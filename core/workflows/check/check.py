"""Reading everything that a recipe's tasks would: all splits, all samples, in parallel."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch.utils.data import DataLoader, Dataset

from umbel.contract.capabilities import ShowsClasses
from umbel.contract.dataset_report import SEVERITIES, Finding
from umbel.contract.defaults import classes_of
from umbel.contract.errors import DataError, UmbelError
from umbel.contract.task import Task
from umbel.contract.types import Sample
from umbel.data.datasets import HoldoutSubset, dataset_length, divide
from umbel.data.workers import start_worker
from umbel.io.error_collection import collect_errors
from umbel.io.listing import collect_passed_over
from umbel.io.shortage import explain
from umbel.workflows.check.overlap import find_absent_classes, find_overlaps, find_unseen_classes
from umbel.workflows.check.passed_over import passed_over_findings
from umbel.workflows.check.sample import SampleResult, inspect_sample

SPLITS = ("train", "val")

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class DataReport:
    """What was read, and what is wrong with it.

    Args:
        samples: number of samples by task and split.
        files: image files read.
        seconds: time it took.
        findings: errors first, then by task, split and file.
    """

    samples: dict[tuple[str, str], int]
    files: int
    seconds: float
    findings: tuple[Finding, ...]

    @property
    def exit_code(self) -> int:
        """0 nothing but notes, 1 errors or warnings, 3 nothing could be read at all."""
        if not any(finding.severity != "note" for finding in self.findings):
            return 0
        return 1 if any(self.samples.values()) else 3


class _Jobs(Dataset[SampleResult]):
    """Every sample of every task and split; reading one looks at it."""

    def __init__(self, tasks: Mapping[str, Task[Any]], datasets: Mapping[tuple[str, str], Dataset[Sample]]) -> None:
        self.tasks = tasks
        self.datasets = datasets
        self.jobs = [(key, index) for key, dataset in datasets.items() for index in range(dataset_length(dataset))]

    def __len__(self) -> int:
        return len(self.jobs)

    def __getitem__(self, position: int) -> SampleResult:
        (name, split), index = self.jobs[position]
        dataset = self.datasets[name, split]
        if isinstance(dataset, HoldoutSubset):  # a task looks at its own data sets only
            index, dataset = dataset.indices[index], dataset.dataset
        return inspect_sample(self.tasks[name], split, dataset, index)


def check_data(tasks: Mapping[str, Task[Any]], workers: int = 2, progress: Progress | None = None) -> DataReport:
    """Read all data of the tasks; nothing is written.

    Args:
        tasks: by name.
        workers: processes that read; 0 reads in this one.
        progress: called with the samples done and all of them.

    Raises:
        DataError: a process that reads was killed, for example for want of memory.
    """
    started = time.perf_counter()
    findings: list[Finding] = []
    datasets: dict[tuple[str, str], Dataset[Sample]] = {}
    for name, task in tasks.items():
        for split, dataset in _open_all(task, findings).items():
            datasets[name, split] = dataset
    results = _read_all(_Jobs(tasks, datasets), workers, progress)
    findings += [finding for result in results for finding in result.findings]
    findings += find_overlaps(results)
    findings += find_unseen_classes(results, {name for name, task in tasks.items() if task.config.holdout})
    telling = {result.task for result in results if result.classes}
    telling |= {name for name, task in tasks.items() if isinstance(task, ShowsClasses)}
    named = {name: _classes(tasks[name]) for name, split in datasets if split == "train" and name in telling}
    findings += find_absent_classes(results, named)
    order = {severity: rank for rank, severity in enumerate(SEVERITIES)}
    unique = dict.fromkeys(findings)
    return DataReport(
        {key: dataset_length(dataset) for key, dataset in datasets.items()},
        sum(result.files for result in results),
        time.perf_counter() - started,
        tuple(sorted(unique, key=lambda f: (order[f.severity], f.task, f.split, f.file, f.kind, f.message))),
    )


def _classes(task: Task[Any]) -> Sequence[str]:
    try:
        return classes_of(task)
    except UmbelError:  # their source is at fault, which is found already
        return ()


def _open_all(task: Task[Any], findings: list[Finding]) -> dict[str, Dataset[Sample]]:
    """The splits that can be opened; data that is divided here is opened once, so that its faults are reported once."""
    opened = {split: _open(task, split, findings) for split in (SPLITS[:1] if task.config.holdout else SPLITS)}
    whole = opened["train"]
    if task.config.holdout and whole is not None and dataset_length(whole):
        try:
            return divide(task, whole)
        except DataError as error:
            findings.append(replace(Finding.of(error), task=task.name, split="val"))
    return {split: dataset for split, dataset in opened.items() if dataset is not None}


def _open(task: Task[Any], split: str, findings: list[Finding]) -> Dataset[Sample] | None:
    """The data set of a split, without its faulty entries, which are noted."""
    with collect_errors() as faults, collect_passed_over() as others:
        dataset = None
        try:
            dataset = task.dataset(split)
        except UmbelError as error:
            faults.append(error)  # type: ignore[arg-type]
        except Exception as error:  # a plugin's reader may raise anything
            faults.append(DataError(f"cannot be opened: {type(error).__name__}: {error}", kind="defect"))
    key = f"tasks.{task.name}"
    for fault in faults:
        found = Finding.of(fault)
        findings.append(
            Finding(
                found.kind,
                found.file or key,
                message=found.message,
                remedy=found.remedy,
                severity="error",
                task=task.name,
                split=split,
            )
        )
    named = {fault.where for fault in faults}
    passed = passed_over_findings(other for other in others if str(other.path) not in named)
    findings += [replace(found, task=task.name, split=split) for found in passed]
    if dataset is not None and not dataset_length(dataset):
        message = f"split '{split}' has no sample" + (" that can be used" if faults else "")
        findings.append(
            Finding(
                "empty-split",
                key,
                message=message,
                remedy="check its paths and lists",
                severity="error",
                task=task.name,
                split=split,
            )
        )
    return dataset


def _read_all(jobs: _Jobs, workers: int, progress: Progress | None) -> list[SampleResult]:
    if not len(jobs):
        return []
    workers = min(workers, len(jobs))
    loader = DataLoader(
        jobs,
        batch_size=None,
        num_workers=workers,
        collate_fn=_unchanged,  # type: ignore[arg-type]
        worker_init_fn=start_worker if workers else None,
        prefetch_factor=8 if workers else None,
    )
    results: list[SampleResult] = []
    try:
        for result in loader:
            results.append(result)
            if progress is not None:
                progress(len(results), len(jobs))
    except (RuntimeError, OSError, MemoryError) as error:
        (name, split), index = jobs.jobs[min(len(results), len(jobs) - 1)]
        found = explain(error, f"tasks.{name}", "--workers, or look at the files there")
        if found is None:
            raise
        raise DataError(
            f"reading ended near sample {index} of split '{split}': {found.message}", where=found.where, hint=found.hint
        ) from None
    return results


def _unchanged(result: SampleResult) -> SampleResult:
    return result
