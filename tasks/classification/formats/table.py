"""Tables of images: CSV files with a column of file names and one of class names."""

from __future__ import annotations

import csv
from pathlib import Path

from umbel import (
    DataError,
    find_split,
    find_val_or_test,
    list_images,
    missing_hint,
    read_lines,
    say_test_validates,
    skip_invalid,
)
from umbel.tasks.classification.formats.records import Record, listed_records
from umbel.tasks.classification.options import ClassificationOptions


class Table:
    """root/{train,val}.csv with a header and the columns of `image_column` and `label_column`; files are under root.

    One table may hold both splits: `split_column` then says which a row is of.
    """

    looks_for = "train.csv or val.csv"

    def matches(self, options: ClassificationOptions) -> bool:
        return any(path.is_file() for path in _tables(options).values())

    def class_names(self, options: ClassificationOptions) -> list[str]:
        """Sorted labels of both splits."""
        tables = _tables(options)
        if not any(path.is_file() for path in tables.values()):
            raise DataError(
                "no such file", kind="missing", where=str(tables["train"]), hint=missing_hint(tables["train"])
            )
        labels = {label for path in set(tables.values()) if path.is_file() for _, label in _rows(options, path, None)}
        return sorted(labels)

    def has_val(self, options: ClassificationOptions) -> bool:
        return _tables(options)["val"].exists()

    def read(self, options: ClassificationOptions, split: str) -> list[Record]:
        path = _tables(options)[split]
        if split == "val" and options.val == "val":
            say_test_validates(path.stem, Path(options.root))
        ids = {name: number for number, name in enumerate(self.class_names(options))}
        rows = [(name, ids[label]) for name, label in _rows(options, path, split)]
        folder = Path(options.root) / options.images
        files = _by_stem(folder) if options.images and any(not Path(name).suffix for name, _ in rows) else {}
        return listed_records(folder, [(files.get(name, name), label) for name, label in rows], path)


def _tables(options: ClassificationOptions) -> dict[str, Path]:
    """The table of each split: the recipe's or, for want of that, of another usual name; a test's with labels."""
    root = Path(options.root)
    train, val = options.train, options.val
    if train == "train" and not (root / "train.csv").is_file():
        train = find_split(root, "train", "{}.csv", Path.is_file) or train
    if val == "val" and not (root / "val.csv").is_file():
        val = find_val_or_test(root, "{}.csv", Path.is_file, lambda path: _has_labels(options, path)) or val
    return {"train": root / f"{train}.csv", "val": root / f"{val}.csv"}


def _has_labels(options: ClassificationOptions, path: Path) -> bool:
    header = next(iter(read_lines(path)), "").split(",")
    return {options.image_column, options.label_column} <= {column.strip(' "') for column in header}


def _by_stem(folder: Path) -> dict[str, str]:
    """The images of a folder by their names without suffix, where only one has it."""
    stems: dict[str, list[str]] = {}
    for image in list_images(folder):
        stems.setdefault(image.stem, []).append(image.name)
    return {stem: names[0] for stem, names in stems.items() if len(names) == 1}


def _rows(options: ClassificationOptions, path: Path, split: str | None) -> list[tuple[str, str]]:
    """Image and class of each row of a split, of every split for None."""
    lines = read_lines(path)
    try:
        columns, *values = csv.reader(lines, strict=True)
    except (ValueError, csv.Error) as error:
        problem = "is empty" if not lines else f"is not a table of comma-separated values: {error}"
        raise DataError(problem, where=str(path)) from None
    parted = [] if options.split_column is None else [options.split_column]
    for wanted in (options.image_column, options.label_column, *parted):
        if columns.count(wanted) != 1:
            raise DataError(
                f"has not one column {wanted!r}",
                where=str(path),
                hint=f"its columns are {', '.join(columns)}; set image_column and label_column",
            )
    splits = options.train_splits if split == "train" else options.val_splits
    of_split = columns.index(parted[0]) if parted and split is not None else None
    image, label = columns.index(options.image_column), columns.index(options.label_column)
    rows = []
    for number, row in enumerate(values, start=2):
        with skip_invalid("annotation"):
            if len(row) != len(columns) or not row[label].strip():
                shown = str(row)[:200]
                raise DataError(f"row {number} has not {len(columns)} values with a class: {shown}", where=str(path))
            if of_split is None or row[of_split].strip() in splits:
                rows.append((row[image].strip(), row[label].strip()))
    return rows
