"""Tables of images: CSV files with a column of file names and one of class names."""

from __future__ import annotations

import csv
from pathlib import Path

from umbel import DataError, read_lines, tolerate
from umbel.tasks.classification.options import ClassificationOptions
from umbel.tasks.classification.records import Record, listed_records


class Table:
    """root/{train,val}.csv with a header and the columns of `image_column` and `label_column`; files are under root."""

    looks_for = "train.csv or val.csv"

    def matches(self, options: ClassificationOptions) -> bool:
        return any(path.is_file() for path in _tables(options).values())

    def class_names(self, options: ClassificationOptions) -> list[str]:
        """Sorted labels of both splits."""
        return sorted(
            {label for path in _tables(options).values() if path.is_file() for _, label in _rows(options, path)}
        )

    def read(self, options: ClassificationOptions, split: str) -> list[Record]:
        path = _tables(options)[split]
        ids = {name: number for number, name in enumerate(self.class_names(options))}
        return listed_records(Path(options.root), [(name, ids[label]) for name, label in _rows(options, path)], path)


def _tables(options: ClassificationOptions) -> dict[str, Path]:
    root = Path(options.root)
    return {"train": root / f"{options.train}.csv", "val": root / f"{options.val}.csv"}


def _rows(options: ClassificationOptions, path: Path) -> list[tuple[str, str]]:
    lines = read_lines(path)
    try:
        columns, *values = csv.reader(lines, strict=True)
    except (ValueError, csv.Error) as error:
        problem = "is empty" if not lines else f"is not a table of comma-separated values: {error}"
        raise DataError(problem, where=str(path)) from None
    for wanted in (options.image_column, options.label_column):
        if columns.count(wanted) != 1:
            raise DataError(
                f"has not one column {wanted!r}",
                where=str(path),
                hint=f"its columns are {', '.join(columns)}; set image_column and label_column",
            )
    image, label = columns.index(options.image_column), columns.index(options.label_column)
    rows = []
    for number, row in enumerate(values, start=2):
        with tolerate("annotation"):
            if len(row) != len(columns) or not row[label].strip():
                shown = str(row)[:200]
                raise DataError(f"row {number} has not {len(columns)} values with a class: {shown}", where=str(path))
            rows.append((row[image].strip(), row[label].strip()))
    return rows
