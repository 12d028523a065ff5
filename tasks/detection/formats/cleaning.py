"""Checking and clipping labelled boxes before anything else sees them.

Legend: N boxes as written, x1, y1, x2, y2 in pixels.
"""

from __future__ import annotations

import math

import numpy as np

from umbel import DataError, Size
from umbel.tasks.detection.formats.records import Record
from umbel.tasks.detection.prediction import BoxTarget

MIN_SIDE = 1.0  # pixels; what is thinner cannot be learned or matched


def find_bad_boxes(record: Record, size: Size | None, policy: str) -> np.ndarray:
    """(N,) bool: boxes that are not finite, empty, inverted or outside the image.

    Args:
        record: the image and its boxes.
        size: height and width of the image; None if not known yet: a box in pixels beyond the right or lower border is
            then missed.
        policy: "drop" finds bad boxes, "error" refuses them.

    Raises:
        DataError: naming annotation file, image and box.
    """
    bad = np.zeros(len(record.boxes_N4), dtype=bool)
    for kind, (fault, hit) in box_faults(record, size).items():
        if policy == "error" and hit.any():
            raise box_error(record, int(hit.argmax()), kind, fault)
        bad |= hit
    return bad


def box_faults(record: Record, size: Size | None) -> dict[str, tuple[str, np.ndarray]]:
    """What no box may be: kind of fault to its description and (N,) bool; arguments are those of `find_bad_boxes`."""
    height, width = (1.0, 1.0) if record.relative else size or (math.inf, math.inf)
    x1, y1, x2, y2 = record.boxes_N4.T
    return {
        "box-nan": ("is not finite", ~np.isfinite(record.boxes_N4).all(axis=1)),
        "box-degenerate": ("has a side of zero", (x1 == x2) | (y1 == y2)),
        "box-inverted": ("is inverted: it ends before it starts", (x2 < x1) | (y2 < y1)),
        "box-outside": (
            "lies outside the image" + (f" of {size[1]} x {size[0]} pixels" if size else ""),
            (x1 >= width) | (y1 >= height) | (x2 <= 0) | (y2 <= 0),
        ),
    }


def box_error(record: Record, index: int, kind: str, fault: str) -> DataError:
    """The error that names a box, where it is and what is wrong with it."""
    corners = ", ".join(f"{value:g}" for value in record.boxes_N4[index])
    return DataError(
        f"{record.box_ids[index]} of image {record.id!r} {fault}: corners {corners}",
        where=record.source,
        hint="correct it, or set bad_boxes: drop",
        kind=kind,
    )


def clean_boxes(record: Record, size: Size, policy: str) -> tuple[BoxTarget, int]:
    """Boxes inside the image, float32, in pixels, and how many were dropped.

    Boxes over the border are clipped; what is then thinner than one pixel is dropped. Arguments and errors are those of
    `find_bad_boxes`.
    """
    height, width = size
    bad = find_bad_boxes(record, size, policy)
    scale = [width, height, width, height] if record.relative else 1.0
    pixels = np.where(bad[:, None], 0.0, record.boxes_N4) * scale
    clipped = np.clip(pixels, 0.0, [width, height, width, height])
    keep = ~bad & (clipped[:, 2:] - clipped[:, :2] >= MIN_SIDE).all(axis=1)
    target = BoxTarget(clipped.astype(np.float32), record.classes_N, record.crowd_N).select(keep)
    return target, int((~keep).sum())
