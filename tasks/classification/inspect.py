"""All faults of a classified image, for `umbel check --data`."""

from __future__ import annotations

from collections.abc import Sequence

from umbel import DataError, Finding, SampleReport, read_image
from umbel.tasks.classification.formats.records import Record


def inspect_record(record: Record, class_names: Sequence[str]) -> SampleReport:
    """The report of an image and its class.

    Args:
        record: both.
        class_names: by class id.
    """
    findings = []
    try:
        read_image(record.image)
    except DataError as error:
        findings.append(Finding.of(error))
    return SampleReport(record.id, findings, frozenset({class_names[record.label]}))
