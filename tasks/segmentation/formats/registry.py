"""Layouts of segmentation data sets. A new layout is one reader and one line here."""

from __future__ import annotations

from typing import Protocol

from umbel import pick_format
from umbel.tasks.segmentation.formats.camvid import CamVid
from umbel.tasks.segmentation.formats.folders import Folders
from umbel.tasks.segmentation.formats.masks_beside import MasksBeside
from umbel.tasks.segmentation.formats.polygons import Polygons
from umbel.tasks.segmentation.formats.records import Split
from umbel.tasks.segmentation.formats.street_scenes import Bdd100k, Challenge, Cityscapes
from umbel.tasks.segmentation.options import SegmentationOptions


class Format(Protocol):
    """One layout."""

    looks_for: str  # what `matches` wants to see, for the error message

    def matches(self, options: SegmentationOptions) -> bool:
        """Whether `root` is laid out this way."""

    def class_names(self, options: SegmentationOptions) -> list[str]:
        """The classes that the data set stores, before `class_map`, in the order of their label values."""

    def has_val(self, options: SegmentationOptions) -> bool:
        """Whether `root` has a validation split."""

    def read(self, options: SegmentationOptions, split: str) -> Split:
        """The images of "train" or "val"; DataError names what is missing or broken."""


FORMATS: dict[str, Format] = {
    "folders": Folders(),
    "bdd100k": Bdd100k(),
    "challenge": Challenge(),
    "cityscapes": Cityscapes(),
    "camvid": CamVid(),
    "polygons": Polygons(),
    "masks_beside": MasksBeside(),
}


def find_format(options: SegmentationOptions) -> Format:
    """The layout that the options name, or the only one that `root` shows."""
    return pick_format(FORMATS, options)
