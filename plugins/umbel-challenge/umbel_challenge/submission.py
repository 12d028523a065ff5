"""The challenge's submission file: the form of its README, and the lists that its code writes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from umbel import write_bytes
from umbel_challenge.polygons import Polygons

KINDS = {"segmentation": "seg", "classification": "cls", "detection": "dec"}  # section of the file by kind of task

SECTIONS = tuple(KINDS.values())

ImageId = int | str


@dataclass(frozen=True)
class BoxEntry:
    """One detection.

    Args:
        image_id: as the annotations call the image.
        category_id: as the annotations call the class.
        bbox: x, y, width, height in pixels.
        score: the higher, the surer.
    """

    image_id: ImageId
    category_id: int
    bbox: tuple[float, float, float, float]
    score: float


@dataclass
class Submission:
    """What a file holds; None for a section it does not have.

    Args:
        seg: contours by class, by image name.
        cls: class id by image name.
        dec: all detections.
    """

    seg: dict[str, Polygons] | None = None
    cls: dict[str, int] | None = None
    dec: list[BoxEntry] | None = None


def write_submission(path: Path, submission: Submission, *, list_form: bool = False) -> None:
    """Write a submission.

    Args:
        path: the file.
        submission: its content; sections that are None are left out.
        list_form: write cls and seg as lists of one-key objects, as the organisers' code does, in place of one object.
    """
    content: dict[str, Any] = {}
    if submission.cls is not None:
        content["cls"] = _form(submission.cls, list_form)
    if submission.dec is not None:
        content["dec"] = [vars(entry) for entry in submission.dec]
    if submission.seg is not None:
        content["seg"] = _form(submission.seg, list_form)
    text = json.dumps(content, default=_plain, allow_nan=False, separators=(",", ":"))
    write_bytes(path, (text + "\n").encode())


def _form(section: Mapping[str, Any], list_form: bool) -> Any:
    return [{name: value} for name, value in section.items()] if list_form else section


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} in a submission")
