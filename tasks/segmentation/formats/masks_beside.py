"""Roboflow's export of semantic masks: in every split's folder NAME.jpg, NAME_mask.png and a table of the values."""

from __future__ import annotations

import csv
from pathlib import Path

from umbel import DataError, find_split, find_val_or_test, list_images, read_lines, say_test_validates, skip_invalid
from umbel.tasks.segmentation.formats.class_sets import UNLABELLED
from umbel.tasks.segmentation.formats.records import Mask, Record, Split
from umbel.tasks.segmentation.options import SegmentationOptions

_TABLE = "{}/_classes.csv"

_MASK = "_mask"


class MasksBeside:
    """root/{train,valid}/NAME.*, NAME_mask.png beside it, and _classes.csv with the columns "Pixel Value, Class"."""

    looks_for = "train/_classes.csv or valid/_classes.csv with Pixel Value and Class, *_mask.png beside images"

    def matches(self, options: SegmentationOptions) -> bool:
        return any(_is_table(Path(options.root) / _TABLE.format(_name(options, split))) for split in ("train", "val"))

    def has_val(self, options: SegmentationOptions) -> bool:
        return _is_table(Path(options.root) / _TABLE.format(_name(options, "val")))

    def class_names(self, options: SegmentationOptions) -> list[str]:
        return list(_values(Path(options.root) / _TABLE.format(_name(options, "train"))).values())

    def read(self, options: SegmentationOptions, split: str) -> Split:
        folder = Path(options.root) / _name(options, split)
        say_test_validates(folder.name, Path(options.root))
        values, wanted = _values(folder / "_classes.csv"), self.class_names(options)
        if sorted(values.values()) != sorted(wanted):
            raise DataError(
                f"has the classes {', '.join(values.values())}; training has {', '.join(wanted)}",
                where=str(folder / "_classes.csv"),
                hint="give all splits the same classes",
                kind="class-list",
            )
        files = list_images(folder, nested=True)
        masks = {path.with_name(path.stem.removesuffix(_MASK)): path for path in files if path.stem.endswith(_MASK)}
        records = []
        for image in files:
            if image.stem.endswith(_MASK):
                continue
            with skip_invalid("missing-pair"):
                if image.with_suffix("") not in masks:
                    raise DataError(f"has no {image.stem}{_MASK}.png beside it", where=str(image))
                name = image.relative_to(folder).with_suffix("").as_posix()
                records.append(Record(image, Mask(masks[image.with_suffix("")]), name))
        if not records:
            raise DataError("holds no images", where=str(folder), kind="empty-split")
        return Split(tuple(records), {**values, UNLABELLED: None})


def _name(options: SegmentationOptions, split: str) -> str:
    root = Path(options.root)
    found = (
        find_split(root, split, _TABLE, _is_table) if split == "train" else find_val_or_test(root, _TABLE, _is_table)
    )
    return found or split


def _is_table(path: Path) -> bool:
    if not path.is_file():
        return False
    return next(iter(read_lines(path)), "").strip(' "').lower().startswith("pixel value")


def _values(path: Path) -> dict[int, str]:
    """The class of every pixel value."""
    values: dict[int, str] = {}
    for number, row in enumerate(list(csv.reader(read_lines(path)))[1:], start=2):
        cells = [cell.strip() for cell in row]
        good = len(cells) == 2 and cells[0].isascii() and cells[0].isdecimal() and cells[1]
        if not good or int(cells[0]) >= UNLABELLED or int(cells[0]) in values:
            raise DataError(
                f"row {number} is not a value of 0..{UNLABELLED - 1}, once, and a class: {str(row)[:80]}",
                where=str(path),
            )
        values[int(cells[0])] = cells[1]
    if not values:
        raise DataError("names no class", where=str(path), kind="annotation")
    return values
