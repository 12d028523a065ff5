"""Classified images without a validation split, as `umbel init` finds them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from umbel import list_images
from umbel.tasks.classification.formats.folders import OTHER_TASKS, class_folders
from umbel.tasks.classification.formats.registry import FORMATS
from umbel.tasks.classification.options import ClassificationOptions

_SPLIT = re.compile(r"train|val|test|dev", re.IGNORECASE)


def unsplit(folder: Path, layout: str | None) -> dict[str, Any] | None:
    """Options that read all images of a folder as training data; None if it has a validation split, or no such images.

    Args:
        folder: of the data set.
        layout: the format that it is in, or None: then FOLDER/CLASS/* is looked for.
    """
    if layout is None:
        return {"format": "folders", "train": "."} if _is_class_tree(folder) else None
    options = ClassificationOptions(root=str(folder))
    return None if FORMATS[layout].has_val(options) else {"format": layout}


def _is_class_tree(folder: Path) -> bool:
    """Two folders of images or more, and no folder of anything else.

    Folders called after splits, or after the parts of other kinds of data sets, are no classes.
    """
    names = class_folders(folder)
    if sum(_SPLIT.match(name) is not None for name in names) > 1 or OTHER_TASKS & set(names):
        return False
    images = {name: list_images(folder / name, nested=True) for name in names}
    strange = [name for name in names if not images[name] and any((folder / name).iterdir())]
    firsts = [files[0] for files in images.values() if files]
    boxes = any(first.with_suffix(suffix).is_file() for first in firsts for suffix in (".txt", ".xml", ".json"))
    return not strange and not boxes and len(firsts) > 1
