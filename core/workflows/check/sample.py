"""Looking at one sample."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from umbel.contract.dataset_report import REMEDIES, Finding, SampleReport
from umbel.contract.defaults import inspected
from umbel.contract.errors import UmbelError
from umbel.contract.task import Task
from umbel.contract.types import Sample
from umbel.io.error_collection import collect_errors
from umbel.io.read_trace import trace_reads
from umbel.registry.calls.fallback import as_method
from umbel.workflows.check.files import inspect_file


@dataclass(frozen=True)
class SampleResult:
    """What was found in a sample, and what it is compared with others by.

    Args:
        task: task name.
        split: "train" or "val".
        findings: everything wrong with it.
        images: path and SHA-256 of the pixels of every image that could be decoded.
        files: image files read.
        classes: classes in it.
    """

    task: str
    split: str
    findings: tuple[Finding, ...]
    images: tuple[tuple[str, str], ...]
    files: int
    classes: frozenset[str]


def inspect_sample(task: Task[Any], split: str, dataset: Dataset[Sample], index: int) -> SampleResult:
    """Everything about one sample: what its task says, and a close look at the image files read for it."""
    with trace_reads() as reads, collect_errors() as faults:
        try:
            report = as_method(task, "inspect", inspected, dataset, index)
        except UmbelError as error:
            report = SampleReport(str(index), (Finding.of(error),))
        except Exception as error:  # a plugin's reader may raise anything, and the other samples are still to be read
            message = f"cannot be read: {type(error).__name__}: {error}"
            report = SampleReport(str(index), (Finding("defect", f"tasks.{task.name}", message, REMEDIES["defect"]),))
    findings = [*report.findings, *(Finding.of(error) for error in faults)]
    refused = {finding.file for finding in findings if finding.severity == "error" and finding.kind != "size-mismatch"}
    images = []
    for read in {(read.path, read.is_label_map): read for read in reads}.values():
        decodes = str(read.path) not in refused
        found, pixels = inspect_file(read, decodes=decodes)
        findings += found
        if pixels is not None:
            images.append((str(read.path), _digest(pixels)))
    unique = dict.fromkeys(
        replace(finding, task=task.name, split=split, sample=finding.sample or report.id) for finding in findings
    )
    return SampleResult(
        task=task.name,
        split=split,
        findings=tuple(unique),
        images=tuple(images),
        files=len(reads),
        classes=report.classes,
    )


def _digest(pixels: np.ndarray) -> str:
    """Of the pixels, not of the file: another encoding or other metadata do not hide a copy."""
    digest = hashlib.sha256(repr(pixels.shape).encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()
