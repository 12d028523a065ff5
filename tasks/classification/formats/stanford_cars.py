"""Stanford Cars (Krause et al. 2013) as distributed: photographs, and MATLAB files of annotations."""

from __future__ import annotations

import contextlib
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from umbel import DataError
from umbel.tasks.classification.formats.records import Record, listed_records
from umbel.tasks.classification.options import ClassificationOptions

_TEST = "cars_test_annos_withlabels.mat"

MOST_BYTES = 64 * 2**20

_PACKED = 15  # type of a compressed element

_FILES = "put the devkit of Stanford Cars into root"


class StanfordCars:
    """cars_train/, cars_test/, devkit/; val is the official test set, whose labels are a file of their own.

    Classes are 1-based in the files; fields are read by name, since their order differs between the files.
    """

    looks_for = "devkit/cars_meta.mat"

    def matches(self, options: ClassificationOptions) -> bool:
        return (Path(options.root) / "devkit/cars_meta.mat").is_file()

    def class_names(self, options: ClassificationOptions) -> list[str]:
        return read_class_names(Path(options.root) / "devkit/cars_meta.mat")

    def has_val(self, options: ClassificationOptions) -> bool:
        return True  # the official test set

    def read(self, options: ClassificationOptions, split: str) -> list[Record]:
        root = Path(options.root)
        classes = len(self.class_names(options))
        if split == "train":
            path = root / "devkit/cars_train_annos.mat"
            return listed_records(root / "cars_train", read_annotations(path, classes), path)
        places = (root / _TEST, root / "devkit" / _TEST, root / "devkit/cars_test_annos.mat")
        path = next((place for place in places if place.is_file()), places[0])
        return listed_records(root / "cars_test", read_annotations(path, classes), path)


def read_class_names(path: Path) -> list[str]:
    """The names in cars_meta.mat, by class id."""
    names = [_text(cell) for cell in _read(path, "class_names").ravel()]
    if not names or any(name is None for name in names):
        raise DataError("class_names does not hold text", where=str(path), hint=_FILES)
    return [name for name in names if name is not None]


def read_annotations(path: Path, classes: int) -> list[tuple[str, int]]:
    """File name and class id, from 0, of every image.

    Args:
        path: a file with the struct array `annotations`.
        classes: number of classes.

    Raises:
        DataError: the file has no classes, as cars_test_annos.mat, or is broken.
    """
    table = _read(path, "annotations").ravel()
    fields = table.dtype.names or ()
    if "fname" not in fields:
        raise DataError(
            f"annotations has no field 'fname' but {', '.join(fields) or 'none'}", where=str(path), hint=_FILES
        )
    if "class" not in fields:
        raise DataError(
            "has images but no classes", where=str(path), hint=f"get {_TEST} and put it into the root or devkit folder"
        )
    entries = []
    for number, row in enumerate(table, start=1):
        name, label = _text(row["fname"]), _integer(row["class"])
        if name is None or label is None or not 1 <= label <= classes:
            raise DataError(
                f"entry {number} has fname {name!r} and class {label}; classes are 1..{classes}", where=str(path)
            )
        entries.append((name, label - 1))
    return entries


def _read(path: Path, variable: str) -> np.ndarray:
    from scipy.io import loadmat  # only this format needs it

    if not path.is_file():
        raise DataError("no such file", kind="missing", where=str(path), hint=_FILES)
    _refuse_bomb(path)
    try:
        found: Any = loadmat(str(path), appendmat=False, variable_names=[variable])
    except Exception as error:  # damaged files fail in many ways
        raise DataError(f"is not a readable MATLAB file: {error}", where=str(path), hint=_FILES) from None
    if not isinstance(found.get(variable), np.ndarray):
        raise DataError(f"has no variable {variable!r}", where=str(path), hint=_FILES)
    array: np.ndarray = found[variable]
    return array


def _refuse_bomb(path: Path) -> None:
    """DataError for a file that is larger than any of the set, packed or unpacked."""
    with path.open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    position = 128  # the header of MATLAB 5 files; their elements follow, each with type and length
    sizes = [len(data)]
    while position + 8 <= len(data):
        kind, length = (int.from_bytes(data[position + k : position + k + 4], "little") for k in (0, 4))
        if kind == _PACKED:
            packed = data[position + 8 : position + 8 + length]
            with contextlib.suppress(zlib.error):  # loadmat will say so
                sizes.append(len(zlib.decompressobj().decompress(packed, MOST_BYTES + 1)))
        position += 8 + length
    if max(sizes) > MOST_BYTES:
        raise DataError(f"is larger than {MOST_BYTES:,} bytes, packed or unpacked", where=str(path), hint=_FILES)


def _text(cell: Any) -> str | None:
    values = np.asarray(cell).ravel()
    return str(values[0]) if values.size == 1 and values.dtype.kind == "U" else None


def _integer(cell: Any) -> int | None:
    values = np.asarray(cell).ravel()
    return int(values[0]) if values.size == 1 and values.dtype.kind in "iu" else None
