"""Roboflow's multiclass export: in every split's folder of images a table with a column of 0 and 1 a class."""

from __future__ import annotations

import csv
from pathlib import Path

from umbel import DataError, find_split, find_val_or_test, read_lines, say_test_validates, skip_invalid
from umbel.tasks.classification.formats.records import Record, listed_records
from umbel.tasks.classification.options import ClassificationOptions

_TABLE = "{}/_classes.csv"

_IMAGE = "filename"  # title of the first column


class OneHot:
    """root/{train,valid}/_classes.csv with the header "filename, CLASS, CLASS" and one 1 a row, images beside it."""

    looks_for = "train/_classes.csv or valid/_classes.csv with a column filename and one a class"

    def matches(self, options: ClassificationOptions) -> bool:
        return any(_is_table(_table(options, split)) for split in ("train", "val"))

    def class_names(self, options: ClassificationOptions) -> list[str]:
        """The columns of the training table; those of validation have to be the same, in any order."""
        return _columns(_table(options, "train"))

    def has_val(self, options: ClassificationOptions) -> bool:
        return _table(options, "val").exists()

    def read(self, options: ClassificationOptions, split: str) -> list[Record]:
        path = _table(options, split)
        if split == "val" and options.val == "val":
            say_test_validates(path.parent.name, Path(options.root))
        ids = {name: number for number, name in enumerate(self.class_names(options))}
        columns = _columns(path)
        if set(columns) != set(ids):
            raise DataError(
                f"has the classes {', '.join(columns)}; training has {', '.join(ids)}",
                where=str(path),
                hint="give all splits the same columns",
                kind="class-list",
            )
        entries = []
        for number, row in enumerate(_rows(path)[1:], start=2):
            with skip_invalid("annotation"):
                entries.append((row[0], ids[_class(row, columns, number, path)]))
        return listed_records(path.parent, entries, path)


def _table(options: ClassificationOptions, split: str) -> Path:
    root = Path(options.root)
    name = {"train": options.train, "val": options.val}[split]
    if name == split and not _is_table(root / _TABLE.format(name)):
        if split == "train":
            name = find_split(root, split, _TABLE, _is_table) or name
        else:
            name = find_val_or_test(root, _TABLE, _is_table, lambda path: len(_rows(path)) > 1) or name
    return root / _TABLE.format(name)


def _is_table(path: Path) -> bool:
    if not path.is_file():
        return False
    columns = next(iter(read_lines(path)), "").split(",")
    return columns[0].strip(' "').lower() == _IMAGE and len(columns) > 1


def _columns(path: Path) -> list[str]:
    return (_rows(path) or [[]])[0][1:]


def _rows(path: Path) -> list[list[str]]:
    try:
        return [[cell.strip() for cell in row] for row in csv.reader(read_lines(path), strict=True)]
    except (ValueError, csv.Error) as error:
        raise DataError(f"is not a table of comma-separated values: {error}", where=str(path)) from None


def _class(row: list[str], columns: list[str], number: int, path: Path) -> str:
    """The one class of a row."""
    cells = row[1:]
    if len(cells) != len(columns) or set(cells) - {"0", "1"}:
        raise DataError(f"row {number} has not {len(columns)} values 0 or 1: {str(row)[:200]}", where=str(path))
    of = [name for name, cell in zip(columns, cells, strict=True) if cell == "1"]
    if len(of) != 1:
        raise DataError(
            f"row {number}, {row[0]!r}, is of {' and '.join(of) if of else 'no class'}",
            where=str(path),
            hint="classification gives an image one class",
            kind="label",
        )
    return of[0]
