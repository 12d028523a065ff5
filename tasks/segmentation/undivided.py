"""Labelled images without a validation split, as `umbel init` finds them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from umbel.tasks.segmentation.options import SegmentationOptions


def undivided(folder: Path, layout: str) -> dict[str, Any] | None:
    """Options that read all images of a folder as training data; None if it has a validation split.

    Args:
        folder: of the data set.
        layout: the format that it is in.
    """
    options = SegmentationOptions(root=str(folder))
    val = {"folders": options.val_list, "camvid": options.val_list, "polygons": options.val_polygons}.get(layout)
    if val is None or (folder / val).exists():
        return None
    listed = layout != "folders" or (folder / str(options.train_list)).exists()
    return {} if listed else {"train_list": None}
