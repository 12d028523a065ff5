"""What an annotation reader gives: records of images, and the categories.

Legend: N boxes of an image; x1, y1, x2, y2 as the file says, not yet checked or clipped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from umbel import Size


@dataclass(frozen=True)
class Box:
    """One labelled box.

    Args:
        corners: x1, y1, x2, y2.
        index: index into the categories.
        crowd: to be neither trained on nor counted against a detection.
        name: what to call it in an error, such as its annotation id.
    """

    corners: tuple[float, float, float, float]
    index: int
    crowd: bool
    name: str


@dataclass(frozen=True)
class Record:
    """One image and its boxes.

    Args:
        path: the image file.
        id: unique in the split, usually the file name.
        source: the file that its boxes come from, for errors.
        size: height and width that the annotations state, to be checked against the image; None where they do not.
        boxes_N4: float64, pixels, or fractions of the image's sides if `relative`.
        classes_N: int64 indices into the categories; targets.ANY_CLASS for a crowd box of no class.
        crowd_N: bool.
        box_ids: what to call each box in an error.
        relative: whether the boxes are fractions.
        image_id: what result files call the image; None where the format says nothing.
    """

    path: Path
    id: str
    source: str
    size: Size | None
    boxes_N4: np.ndarray
    classes_N: np.ndarray
    crowd_N: np.ndarray
    box_ids: tuple[str, ...]
    relative: bool = False
    image_id: int | str | None = None


def make_record(
    path: Path,
    id: str,
    source: Path,
    boxes: Sequence[Box],
    *,
    size: Size | None = None,
    relative: bool = False,
    image_id: int | str | None = None,
) -> Record:
    """A record from single boxes; the arguments are those of `Record`."""
    return Record(
        path=path,
        id=id,
        source=str(source),
        size=size,
        boxes_N4=np.array([box.corners for box in boxes], dtype=np.float64).reshape(-1, 4),
        classes_N=np.array([box.index for box in boxes], dtype=np.int64),
        crowd_N=np.array([box.crowd for box in boxes], dtype=bool),
        box_ids=tuple(box.name for box in boxes),
        relative=relative,
        image_id=image_id,
    )


@dataclass(frozen=True)
class Annotations:
    """A split as read.

    Args:
        records: the images, those without boxes included.
        class_names: names in the order of the class indices.
        category_ids: the id of each class in the files, for results; None where the format has none.
        source: the annotation file or folder, for errors.
        class_map: what becomes of stored classes unless the recipe's `class_map` says otherwise.
    """

    records: tuple[Record, ...]
    class_names: tuple[str, ...]
    category_ids: tuple[int, ...] | None
    source: str
    class_map: Mapping[str, str | None] = field(default_factory=dict)
