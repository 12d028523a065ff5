"""Annotation formats by name. A new format is one reader and one line here."""

from __future__ import annotations

from collections.abc import Callable

from umbel import ConfigError, DataError
from umbel.tasks.detection.coco import read_coco
from umbel.tasks.detection.records import Annotations, Source

READERS: dict[str, Callable[[Source], Annotations]] = {"coco": read_coco}


def read_annotations(source: Source, format: str) -> Annotations:
    """The records of a split.

    Args:
        source: where the split is stored.
        format: a name in READERS, or "auto".

    Raises:
        ConfigError: there is no such format.
        DataError: the annotations cannot be used; names file and entry.
    """
    name = detect_format(source) if format == "auto" else format
    if name not in READERS:
        raise ConfigError(f"format is {name!r}", hint=f"choose auto or one of {', '.join(READERS)}")
    return READERS[name](source)


def detect_format(source: Source) -> str:
    """The format of a split, by the look of its annotations."""
    if source.annotations.suffix.lower() == ".json":
        return "coco"
    raise DataError(
        "is of no format that can be told by its name",
        where=str(source.annotations),
        hint=f"set format to one of {', '.join(READERS)}",
    )
