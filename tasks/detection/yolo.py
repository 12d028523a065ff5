"""YOLO text labels: data.yaml, and beside every folder images one of labels with a text file an image."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from umbel import DataError, list_images, read_lines, resolve_under, tolerate
from umbel.tasks.detection.entries import read_small_file, refuse_twice
from umbel.tasks.detection.options import DetectionOptions
from umbel.tasks.detection.records import Annotations, Box, Record, make_record
from umbel.tasks.detection.yolo_yaml import YoloSet, read_description

MAX_BYTES = 4 * 2**20
DIGITS = re.compile(r"-?[0-9]{1,9}")

logger = logging.getLogger(__name__)


class Yolo:
    """root/data.yaml; lines "class cx cy width height" with fractions of the image's sides.

    In place of data.yaml a text file may name the classes (`train_annotations: classes.txt`), with `train_images`.

    The label file of .../images/a.jpg is .../labels/a.txt, or a.txt beside it where no folder is called images. An
    image without a label file has no boxes, but a split without any label file is refused.
    """

    looks_for = "data.yaml (train_annotations, val_annotations)"

    def matches(self, options: DetectionOptions) -> bool:
        files = [_yaml(options, split) for split in ("train", "val")]
        return any(path.suffix.lower() in (".yaml", ".yml", ".txt") and path.is_file() for path in files)

    def splits(self, options: DetectionOptions) -> list[str]:
        found = [split for split in ("train", "val") if _yaml(options, split).exists()]
        return [
            split for split in found if options.images(split) or split in read_description(_yaml(options, split)).places
        ]

    def read(self, options: DetectionOptions, split: str) -> Annotations:
        path = _yaml(options, split)
        described = read_description(path)
        given = options.images(split)
        places = (Path(options.root) / given,) if given else described.places.get(split)
        if not places:
            raise DataError(f"has no {split!r}", where=str(path), hint=f"or set {split}_images")
        images = [image for place in places for image in _images(place, described)]
        if not images:
            raise DataError("holds no images", where=", ".join(map(str, places)))
        root = Path(options.root)
        ids = [_below(image, root).as_posix() for image in images]
        refuse_twice(ids, "image", path)
        labels = [_label_file(image, root) for image in images]
        unlabelled = sum(not label.is_file() for label in labels)
        if unlabelled == len(labels):
            raise DataError(
                f"no image of {split!r} has a label file", where=str(path), hint=f"the first was sought at {labels[0]}"
            )
        if unlabelled:
            logger.info("%s: %d of %d images have no label file and no boxes", path, unlabelled, len(labels))
        records = tuple(
            _record(image, label, id, described.names) for image, label, id in zip(images, labels, ids, strict=True)
        )
        return Annotations(records, described.names, None, str(path))


def _yaml(options: DetectionOptions, split: str) -> Path:
    return Path(options.root) / (options.annotations(split) or "data.yaml")


def _images(place: Path, described: YoloSet) -> list[Path]:
    """Images of a folder, or those that a text file lists."""
    if place.is_dir():
        return list_images(place, nested=True)
    names = [PurePosixPath(line).as_posix() for line in read_lines(place)]  # without "./"
    found = []
    for name in names:
        with tolerate():
            found.append(resolve_under(described.base, name, source=str(place)))
    return found


def _label_file(image: Path, root: Path) -> Path:
    parts = list(_below(image, root).parts[:-1])
    if "images" in parts:
        parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
    return root.joinpath(*parts, f"{image.stem}.txt")


def _below(path: Path, root: Path) -> Path:
    return path.relative_to(root) if path.is_relative_to(root) else path


def _record(image: Path, label: Path, id: str, names: Sequence[str]) -> Record:
    lines: list[str] = []
    with tolerate("annotation"):
        lines = read_small_file(label, MAX_BYTES) if label.is_file() else []
    boxes = []
    for number, line in enumerate(lines, start=1):
        with tolerate("annotation"):
            boxes.append(_box(line, number, names, label))
    return make_record(image, id, label, boxes, relative=True)


def _box(line: str, number: int, names: Sequence[str], label: Path) -> Box:
    columns = line.split()
    where = f"{label}:{number}"
    if len(columns) != 5:
        raise DataError(f"has {len(columns)} columns; expected class, cx, cy, width, height", where=where)
    if not DIGITS.fullmatch(columns[0]):
        raise DataError(f"has class {columns[0][:80]!r}; expected a whole number", where=where)
    index = int(columns[0])
    if not 0 <= index < len(names):
        raise DataError(f"has class {index}; the data set has 0..{len(names) - 1}", where=where, kind="label")
    try:
        cx, cy, width, height = (float(text) for text in columns[1:])
    except ValueError:
        raise DataError(f"has {line[:80]!r}; expected numbers after the class", where=where) from None
    return Box((cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2), index, False, f"line {number}")
