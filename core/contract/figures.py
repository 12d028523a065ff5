"""What a report is made of: figures as plain data, which any task may give and only the page knows how to draw."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from umbel.contract.errors import DataError

if TYPE_CHECKING:
    import numpy as np


LONGEST_SIDE = 640  # pixels of a picture in a report


@dataclass(frozen=True)
class TableFigure:
    """Rows of text and numbers; numbers are right-aligned.

    Args:
        title: what it shows.
        columns: headings.
        rows: cells, each row as long as `columns`; None is shown as a dash.
        note: a sentence below it.
    """

    title: str
    columns: list[str]
    rows: list[list[str | float | None]]
    note: str = ""


@dataclass(frozen=True)
class BarFigure:
    """One value a label, such as a score of every class.

    Args:
        title: what it shows.
        labels: one a bar.
        values: in 0..`top`; None where there is none.
        details: a short text behind each bar, or [].
        top: the value of a full bar.
        note: a sentence below it.
    """

    title: str
    labels: list[str]
    values: list[float | None]
    details: list[str] = field(default_factory=list)
    top: float = 1.0
    note: str = ""


@dataclass(frozen=True)
class Line:
    """One line of a `CurveFigure`: equally many x and y."""

    name: str
    x: list[float]
    y: list[float]


@dataclass(frozen=True)
class CurveFigure:
    """Lines over a common axis.

    Args:
        title: what it shows.
        x_label: what is right.
        y_label: what is up.
        lines: at most 8 are told apart by colour, the rest is grey.
        y_range: lowest and highest y, or [] to fit the lines.
        note: a sentence below it.
    """

    title: str
    x_label: str
    y_label: str
    lines: list[Line]
    y_range: list[float] = field(default_factory=list)
    note: str = ""


@dataclass(frozen=True)
class MatrixFigure:
    """Counts of true against predicted labels; shown as shares of each row.

    Args:
        title: what it shows.
        rows: labels of the rows, the truth.
        columns: labels of the columns, the prediction.
        counts: one list a row.
        note: a sentence below it.
    """

    title: str
    rows: list[str]
    columns: list[str]
    counts: list[list[float]]
    note: str = ""


@dataclass(frozen=True)
class Picture:
    """A JPEG in base64, with its label and its size in pixels; make it with `picture`."""

    label: str
    jpeg: str
    width: int = 0
    height: int = 0


@dataclass(frozen=True)
class Example:
    """One sample: a caption and its pictures side by side."""

    caption: str
    pictures: list[Picture]


@dataclass(frozen=True)
class ExampleFigure:
    """Samples to look at."""

    title: str
    examples: list[Example]
    note: str = ""


Figure = TableFigure | BarFigure | CurveFigure | MatrixFigure | ExampleFigure


def picture(label: str, image: np.ndarray) -> Picture:
    """A picture for a report.

    Args:
        label: what it is, such as "prediction".
        image: (H, W, 3) uint8 RGB; shrunk to `LONGEST_SIDE`.
    """
    import cv2
    import numpy as np

    scale = LONGEST_SIDE / max(image.shape[:2])
    if scale < 1:
        size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    ok, data = cv2.imencode(".jpg", np.ascontiguousarray(image[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 82])
    if not ok:
        raise DataError(f"cannot encode an image of shape {image.shape} as JPEG")
    return Picture(label, base64.b64encode(data.tobytes()).decode("ascii"), image.shape[1], image.shape[0])
