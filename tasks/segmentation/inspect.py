"""All faults of a labelled image, for `umbel check --data`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from umbel import DataError, Finding, SampleReport, Size, read_image, read_label_map
from umbel.tasks.segmentation.formats.label_table import LabelTable
from umbel.tasks.segmentation.formats.records import Mask, Record


def inspect_record(record: Record, table: LabelTable, class_names: Sequence[str]) -> SampleReport:
    """The report of an image and its label map.

    Args:
        record: both.
        table: what the stored label values mean.
        class_names: by class id.
    """
    findings = []
    size: Size | None = None
    try:
        image = read_image(record.image)
        size = (image.shape[0], image.shape[1])
    except DataError as error:
        findings.append(Finding.of(error))
    labels = _labels(record, size, findings)
    if labels is None:
        return SampleReport(record.id, findings)
    strangers = table.strangers(labels, record.labels.where)
    findings += [Finding.of(error) for error in strangers]
    if strangers:
        return SampleReport(record.id, findings)
    ids = np.unique(table(labels, record.labels.where)).tolist()
    classes = frozenset(class_names[value] for value in ids if value < len(class_names))
    if not classes:
        findings.append(
            Finding("unlabelled", record.labels.where, "labels no pixel", "label it, or leave it out", "warning")
        )
    return SampleReport(record.id, findings, classes)


def _labels(record: Record, size: Size | None, findings: list[Finding]) -> np.ndarray | None:
    """The stored label values; those of a mask of another size, and of an image that cannot be read, too."""
    try:
        if size is not None:
            return record.labels.read(size)
    except DataError as error:
        findings.append(Finding.of(error))
        if error.kind != "size-mismatch":
            return None
    if not isinstance(record.labels, Mask):
        return None
    try:
        return read_label_map(record.labels.path)
    except DataError as error:
        findings.append(Finding.of(error))
        return None
