"""YOLO text labels: data.yaml, and beside every folder images one of labels with a text file an image."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path

from umbel import DataError, find_confusable, list_images, read_lines, say_test_validates, skip_invalid
from umbel.tasks.detection.formats.entries import read_small_file, refuse_twice
from umbel.tasks.detection.formats.records import Annotations, Box, Record, make_record
from umbel.tasks.detection.formats.yolo_places import below, label_file, listed_image, names_file, split_places
from umbel.tasks.detection.formats.yolo_yaml import YoloSet, read_description
from umbel.tasks.detection.options import DetectionOptions

MAX_BYTES = 4 * 2**20

SUFFIXES = (".yaml", ".yml", ".txt", ".names", ".labels")  # of files that name the classes

DIGITS = re.compile(r"-?[0-9]{1,9}")

logger = logging.getLogger(__name__)


class Yolo:
    """root/data.yaml; lines "class cx cy width height" with fractions of the image's sides.

    In place of data.yaml a text file may name the classes (`train_annotations: classes.txt`), with `train_images`;
    `yolo_places` has the places that tools use where neither is given.

    The label file of .../images/a.jpg is .../labels/a.txt, or a.txt beside it where no folder is called images. An
    image without a label file has no boxes, but a split without any label file is refused.
    """

    looks_for = "data.yaml (train_annotations, val_annotations), or images with labels/*.txt by split and a classes.txt"

    def matches(self, options: DetectionOptions) -> bool:
        files = [names_file(options, split) for split in ("train", "val")]
        if any(path.suffix.lower() in SUFFIXES and path.is_file() for path in files):
            return True
        given = options.train_annotations or options.train_images
        return not given and bool(split_places(options, "train")[0])

    def splits(self, options: DetectionOptions) -> list[str]:
        return [split for split in ("train", "val") if split_places(options, split)[0]]

    def read(self, options: DetectionOptions, split: str) -> Annotations:
        path = names_file(options, split)
        described = read_description(path)
        places, name = split_places(options, split)
        if not places:
            raise DataError(f"has no {split!r}", where=str(path), hint=f"or set {split}_images")
        say_test_validates(name, Path(options.root))
        images = [image for place in places for image in _images(place, described)]
        if not images:
            raise DataError("holds no images", where=", ".join(map(str, places)))
        root = Path(options.root)
        ids = [below(image, root).as_posix() for image in images]
        refuse_twice(ids, "image", path)
        labels = [label_file(image, root) for image in images]
        unlabelled = sum(not label.is_file() for label in labels)
        if unlabelled == len(labels):
            raise DataError(
                f"no image of {split!r} has a label file", where=str(path), hint=f"the first was sought at {labels[0]}"
            )
        _refuse_lookalikes([label for label in labels if not label.is_file()])
        if unlabelled:
            logger.info("%s: %d of %d images have no label file and no boxes", path, unlabelled, len(labels))
        records = tuple(
            _record(image, label, id, described.names) for image, label, id in zip(images, labels, ids, strict=True)
        )
        return Annotations(records, described.names, None, str(path))


def _refuse_lookalikes(missing: Sequence[Path]) -> None:
    """DataError where a label file that is not there looks like one that is: its image would count as without boxes."""
    for folder in {label.parent for label in missing}:
        names = [label.name for label in missing if label.parent == folder]
        known = [path.name for path in folder.glob("*.txt")]
        pair = find_confusable([*known, *names])
        if pair is not None and pair[1] in names:
            with skip_invalid("missing-pair"):
                raise DataError(
                    f"holds {pair[0]!r} ({pair[0]!a}), which only looks like {pair[1]!r} ({pair[1]!a})",
                    where=str(folder),
                    hint="give image and label files the same name, in the same Unicode form and with the same blanks",
                )


def _images(place: Path, described: YoloSet) -> list[Path]:
    """Images of a folder, or those that a text file lists."""
    if place.is_dir():
        return list_images(place, nested=True)
    found = []
    for line in read_lines(place):
        with skip_invalid():
            found.append(listed_image(described.base, line, place))
    return found


def _record(image: Path, label: Path, id: str, names: Sequence[str]) -> Record:
    lines: list[str] = []
    with skip_invalid("annotation"):
        lines = read_small_file(label, MAX_BYTES) if label.is_file() else []
    boxes = []
    for number, line in enumerate(lines, start=1):
        with skip_invalid("annotation"):
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
