"""Layouts of classification data sets. A new layout is one reader and one line here."""

from __future__ import annotations

from typing import Protocol

from umbel import pick_format
from umbel.tasks.classification.formats.folders import Folders
from umbel.tasks.classification.formats.image_list import ImageList
from umbel.tasks.classification.formats.one_hot import OneHot
from umbel.tasks.classification.formats.records import Record
from umbel.tasks.classification.formats.stanford_cars import StanfordCars
from umbel.tasks.classification.formats.table import Table
from umbel.tasks.classification.options import ClassificationOptions


class Format(Protocol):
    """One layout."""

    looks_for: str  # what `matches` wants to see, for the error message

    def matches(self, options: ClassificationOptions) -> bool:
        """Whether `root` is laid out this way."""

    def class_names(self, options: ClassificationOptions) -> list[str]:
        """The classes that the data set stores, before `class_map`."""

    def has_val(self, options: ClassificationOptions) -> bool:
        """Whether `root` has a validation split."""

    def read(self, options: ClassificationOptions, split: str) -> list[Record]:
        """The images of "train" or "val"; DataError names what is missing or broken."""


FORMATS: dict[str, Format] = {
    "folders": Folders(),
    "list": ImageList(),
    "csv": Table(),
    "one_hot": OneHot(),
    "stanford_cars": StanfordCars(),
}


def find_format(options: ClassificationOptions) -> Format:
    """The layout that the options name, or the only one that `root` shows."""
    return pick_format(FORMATS, options)
