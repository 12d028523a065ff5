"""All faults of a labelled image, for `umbel check --data`.

Legend: N boxes as written, x1, y1, x2, y2.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from umbel import DataError, Finding, SampleReport, Size, read_image
from umbel.tasks.detection.dataset import check_size
from umbel.tasks.detection.formats.cleaning import MIN_SIDE, box_error, box_faults
from umbel.tasks.detection.formats.records import Record
from umbel.tasks.detection.prediction import ANY_CLASS

BORDER = 2.0  # pixels that a box may end outside the image before it is worth a word: tools round differently


def inspect_record(record: Record, class_names: Sequence[str], bad_boxes: str) -> SampleReport:
    """The report of an image and its boxes.

    Args:
        record: both.
        class_names: by class index.
        bad_boxes: "error", or "drop" where boxes that are no good are only left out.
    """
    findings = []
    size = record.size
    try:
        image = read_image(record.path)
        size = (image.shape[0], image.shape[1])
        check_size(record, size)
    except DataError as error:
        findings.append(Finding.of(error))
    findings += _box_findings(record, size, "error" if bad_boxes == "error" else "warning")
    solid = record.classes_N[~record.crowd_N].tolist()  # nobody learns from a crowd
    classes = frozenset(class_names[index] for index in solid if index != ANY_CLASS)
    return SampleReport(record.id, findings, classes)


def _box_findings(record: Record, size: Size | None, severity: str) -> Iterator[Finding]:
    bad = np.zeros(len(record.boxes_N4), dtype=bool)
    for kind, (fault, hit) in box_faults(record, size).items():
        for index in np.flatnonzero(hit & ~bad).tolist():
            yield Finding.of(box_error(record, index, kind, fault), severity)
        bad |= hit
    twice = "has the place and class of an earlier one"
    seen: set[tuple[float, ...]] = set()
    for index in np.flatnonzero(~bad).tolist():
        key = (*record.boxes_N4[index].tolist(), int(record.classes_N[index]))
        if key in seen:
            yield Finding.of(box_error(record, index, "box-duplicate", twice), "warning")
        seen.add(key)
    if size is not None:
        yield from _border_findings(record, size, ~bad)


def _border_findings(record: Record, size: Size, good: np.ndarray) -> Iterator[Finding]:
    scale = np.array([size[1], size[0], size[1], size[0]], dtype=np.float64)
    pixels_N4 = np.where(good[:, None], record.boxes_N4, 0.0) * (scale if record.relative else 1.0)
    clipped_N4 = np.clip(pixels_N4, 0.0, scale)
    thin = (clipped_N4[:, 2:] - clipped_N4[:, :2] < MIN_SIDE).any(axis=1)
    over = (np.abs(clipped_N4 - pixels_N4) > BORDER).any(axis=1)
    for kind, fault, hit in (
        ("box-tiny", "is thinner than a pixel inside the image and is left out", thin),
        ("box-over-border", "ends outside the image and is clipped", over & ~thin),
    ):
        for index in np.flatnonzero(hit & good).tolist():
            yield Finding.of(box_error(record, index, kind, fault), "warning")
