"""TT100K: one JSON file with the signs of all images, by the schema of its authors (Zhu et al. 2016)."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from umbel import DataError, read_json, resolve_under, skip_invalid
from umbel.tasks.detection.formats.class_changes import IGNORE
from umbel.tasks.detection.formats.entries import first_key, get_field, refuse_twice, to_float
from umbel.tasks.detection.formats.records import Annotations, Box, make_record
from umbel.tasks.detection.options import DetectionOptions

logger = logging.getLogger(__name__)

FIRST_KEYS = ("imgs", "types")  # either may stand first in the file; no COCO file starts so

FOLDERS = {"train": "train", "val": "test"}  # the set has no validation split of its own

# The categories with 100 signs or more in train and test together, sorted as text.
FREQUENT = (
    "i2", "i4", "i5", "il100", "il60", "il80", "io", "ip", "p10", "p11", "p12", "p19", "p23", "p26", "p27",
    "p3", "p5", "p6", "pg", "ph4", "ph4.5", "ph5", "pl100", "pl120", "pl20", "pl30", "pl40", "pl5", "pl50", "pl60",
    "pl70", "pl80", "pm20", "pm30", "pm55", "pn", "pne", "po", "pr40", "w13", "w32", "w55", "w57", "w59", "wo",
)  # fmt: skip


class TT100K:
    """root/annotations.json with {"imgs": {id: {"path", "id", "objects"}}, "types"}; the first folder of a path
    is its split.

    Stored classes are all types, sorted as text. Those outside `class_names`, or without it outside the 45 of FREQUENT,
    are dropped, ignored or kept as `other_categories` says, unless `class_map` names them.
    """

    looks_for = "annotations.json that starts with imgs or types (train_annotations, val_annotations)"

    def matches(self, options: DetectionOptions) -> bool:
        return any(first_key(self._annotations(options, split)) in FIRST_KEYS for split in FOLDERS)

    def splits(self, options: DetectionOptions) -> list[str]:
        return [split for split in FOLDERS if self._annotations(options, split).exists() and self._has(options, split)]

    def read(self, options: DetectionOptions, split: str) -> Annotations:
        path = self._annotations(options, split)
        content = read_json(path)
        images = get_field(content, "imgs", dict, path, "the file")
        names = _types(content, images, path)
        folder = _wanted(options, split)
        chosen = {key: entry for key, entry in images.items() if _folder(entry, key, path) == folder}
        if not chosen:
            found = Counter(_folder(entry, key, path) for key, entry in images.items())
            raise DataError(
                f"has no image of the folder {folder!r}",
                where=str(path),
                hint=f"set {split}_images to one of {', '.join(sorted(found)[:8]) or 'none: it has no images'}",
            )
        refuse_twice((entry["path"] for entry in chosen.values()), "path", path)
        index = {name: k for k, name in enumerate(names)}
        records = []
        for key, entry in chosen.items():
            with skip_invalid("annotation"):
                file = resolve_under(Path(options.root), entry["path"], source=str(path))
                boxes = _boxes(entry, f"image {key!r}", index, path)
                number = entry.get("id") if isinstance(entry.get("id"), (int, str)) else key
                records.append(make_record(file, entry["path"], path, boxes, image_id=number))
        return Annotations(tuple(records), names, None, str(path), _others(names, chosen, options, path))

    def _has(self, options: DetectionOptions, split: str) -> bool:
        path = self._annotations(options, split)
        images = get_field(read_json(path), "imgs", dict, path, "the file")
        return any(_folder(image, key, path) == _wanted(options, split) for key, image in images.items())

    def _annotations(self, options: DetectionOptions, split: str) -> Path:
        return Path(options.root) / (options.annotations(split) or "annotations.json")


def _wanted(options: DetectionOptions, split: str) -> str:
    return options.images(split) or FOLDERS[split]


def _types(content: Mapping[str, Any], images: Mapping[str, Any], path: Path) -> tuple[str, ...]:
    """The stored classes: the file's types, or the categories that occur, and the frequent ones in any case."""
    if "types" in content:
        types = get_field(content, "types", list, path, "the file")
        if not all(isinstance(name, str) for name in types):
            raise DataError("has types that are not text", where=str(path))
        refuse_twice(types, "type", path)
    else:
        types = [
            get_field(entry, "category", str, path, f"an object of image {key!r}")
            for key, image in images.items()
            for entry in get_field(image, "objects", list, path, f"image {key!r}")
        ]
    return tuple(sorted({*types, *FREQUENT}))


def _folder(entry: Any, key: str, path: Path) -> str:
    parts = PurePosixPath(get_field(entry, "path", str, path, f"image {key!r}")).parts
    return parts[0] if parts else ""


def _boxes(image: Any, name: str, index: Mapping[str, int], path: Path) -> list[Box]:
    boxes = []
    for position, entry in enumerate(get_field(image, "objects", list, path, name)):
        with skip_invalid("annotation"):
            boxes.append(_box(entry, f"objects[{position}]", name, index, path))
    return boxes


def _box(entry: Any, what: str, image: str, index: Mapping[str, int], path: Path) -> Box:
    category = get_field(entry, "category", str, path, f"{what} of {image}")
    if category not in index:
        raise DataError(
            f"{what} of {image} has category {category!r}, which is not in types", where=str(path), kind="label"
        )
    bbox = get_field(entry, "bbox", dict, path, f"{what} of {image}")
    x1, y1, x2, y2 = (
        to_float(get_field(bbox, side, (int, float), path, f"the bbox of {what} of {image}"))
        for side in ("xmin", "ymin", "xmax", "ymax")
    )
    return Box((x1, y1, x2, y2), index[category], False, what)


def _others(
    names: Sequence[str], images: Mapping[str, Any], options: DetectionOptions, path: Path
) -> dict[str, str | None]:
    """What becomes of the rare categories that the recipe does not name; logs how many signs that concerns."""
    if options.other_categories == "keep":
        return {}
    named = {*(options.class_names or FREQUENT), *options.class_map}
    others: dict[str, str | None] = {
        name: IGNORE if options.other_categories == "ignore" else None for name in names if name not in named
    }
    signs = Counter(entry["category"] for image in images.values() for entry in image["objects"])
    rare = {name: count for name, count in signs.items() if name in others}
    if rare:
        logger.info(
            "%s: %d of %d signs are of %d categories outside the task's and %s (other_categories)",
            path,
            sum(rare.values()),
            sum(signs.values()),
            len(rare),
            "ignored" if options.other_categories == "ignore" else "dropped",
        )
    return others
