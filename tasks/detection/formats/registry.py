"""Formats of detection data sets. A new format is one reader and one line here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from umbel import pick_format
from umbel.tasks.detection.formats.challenge import Challenge
from umbel.tasks.detection.formats.coco import Coco
from umbel.tasks.detection.formats.records import Annotations
from umbel.tasks.detection.formats.tt100k import TT100K
from umbel.tasks.detection.formats.voc import Voc
from umbel.tasks.detection.formats.yolo import Yolo
from umbel.tasks.detection.options import DetectionOptions


class Format(Protocol):
    """One format."""

    looks_for: str  # what `matches` wants to see, for the error message

    def matches(self, options: DetectionOptions) -> bool:
        """Whether `root` is laid out this way."""

    def splits(self, options: DetectionOptions) -> Sequence[str]:
        """Those of "train" and "val" that are there, and "test" where the format has one."""

    def read(self, options: DetectionOptions, split: str) -> Annotations:
        """The images and boxes of a split; DataError names file, entry and what is wrong with it."""


FORMATS: dict[str, Format] = {
    "coco": Coco(),
    "voc": Voc(),
    "yolo": Yolo(),
    "tt100k": TT100K(),
    "challenge": Challenge(),
}


def find_format(options: DetectionOptions) -> Format:
    """The format that the options name, or the only one that `root` shows."""
    return pick_format(FORMATS, options)
