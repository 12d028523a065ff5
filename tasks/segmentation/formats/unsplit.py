"""Labelled images without a validation split, as `umbel init` finds them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from umbel.tasks.segmentation.formats.registry import FORMATS
from umbel.tasks.segmentation.options import SegmentationOptions


def unsplit(folder: Path, layout: str) -> dict[str, Any] | None:
    """Options that read all images of a folder as training data; None if it has a validation split.

    Args:
        folder: of the data set.
        layout: the format that it is in.
    """
    options = SegmentationOptions(root=str(folder))
    if FORMATS[layout].has_val(options):
        return None
    whole = (folder / options.images).is_dir() and (folder / options.masks).is_dir()
    listed = layout != "folders" or (folder / str(options.train_list)).exists() or not whole
    return {} if listed else {"train_list": None}
