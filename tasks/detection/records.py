"""What an annotation reader gives: records of images, and the categories.

Legend: N boxes of an image; x1, y1, x2, y2 in pixels as the file says, not yet checked or clipped.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from umbel import Size


@dataclass(frozen=True)
class Source:
    """Where a split is stored.

    Args:
        images: folder of the images.
        annotations: file or folder of the annotations.
    """

    images: Path
    annotations: Path


@dataclass(frozen=True)
class Record:
    """One image and its boxes.

    Args:
        path: the image file.
        id: unique in the split, usually the file name.
        size: height and width that the annotations state, to be checked against the image; None where they do not.
        boxes_N4: float64.
        classes_N: int64 indices into the categories.
        crowd_N: bool.
        box_ids: what to call each box in an error, such as its annotation id.
    """

    path: Path
    id: str
    size: Size | None
    boxes_N4: np.ndarray
    classes_N: np.ndarray
    crowd_N: np.ndarray
    box_ids: tuple[str, ...]


@dataclass(frozen=True)
class Annotations:
    """A split as read.

    Args:
        records: the images, those without boxes included.
        class_names: names in the order of the class indices.
        category_ids: the id of each class in the files, for results; None where the format has none.
    """

    records: tuple[Record, ...]
    class_names: tuple[str, ...]
    category_ids: tuple[int, ...] | None
