"""Text files that list images with their class id, as in the Open-TransMind challenge."""

from __future__ import annotations

from pathlib import Path

from umbel import (
    DataError,
    find_split,
    find_val_or_test,
    missing_hint,
    read_class_names,
    read_lines,
    say_test_validates,
    skip_invalid,
)
from umbel.tasks.classification.formats.records import Record, listed_records
from umbel.tasks.classification.options import ClassificationOptions

MOST = 100_000  # classes; a larger id is a mistake, and would build a huge head


class ImageList:
    """[cls/]{train,val}.txt with lines "NAME ID", ids from 0, and images in [cls/]{train,val}; names in classes.txt."""

    looks_for = "train.txt or val.txt, of root or root/cls, with a folder of images of the same name"

    def matches(self, options: ClassificationOptions) -> bool:
        return any(
            _listing(options, split).is_file() and _images(options, split).is_dir() for split in ("train", "val")
        )

    def class_names(self, options: ClassificationOptions) -> list[str]:
        """From classes.txt, else the recipe's where it maps nothing, else "0", "1" and so on to the largest id."""
        path = _base(options) / "classes.txt"
        if options.class_names and not options.class_map:
            return list(options.class_names)
        if path.is_file():
            return read_class_names(path)
        listings = [_listing(options, split) for split in ("train", "val")]
        ids = [number for listing in listings if listing.is_file() for _, number in _entries(listing)]
        if not any(listing.is_file() for listing in listings):
            raise DataError("no such file", kind="missing", where=str(listings[0]), hint=missing_hint(listings[0]))
        if not ids:
            raise DataError("lists no images", where=str(listings[0]), kind="empty-split")
        return [str(number) for number in range(max(ids) + 1)]

    def has_val(self, options: ClassificationOptions) -> bool:
        return _listing(options, "val").exists()

    def read(self, options: ClassificationOptions, split: str) -> list[Record]:
        listing = _listing(options, split)
        if split == "val" and options.val == "val":
            say_test_validates(listing.stem, _base(options))
        classes = len(self.class_names(options))
        entries = []
        for name, number in _entries(listing):
            with skip_invalid("label"):
                if number >= classes:
                    raise DataError(
                        f"{name} has class {number}; there are {classes}, 0..{classes - 1}",
                        where=str(listing),
                        hint="ids start at 0",
                    )
                entries.append((name, number))
        return listed_records(_images(options, split), entries, listing)


def _base(options: ClassificationOptions) -> Path:
    """The challenge's folder, whether `root` is that or the one above."""
    inner = Path(options.root) / "cls"
    return inner if inner.is_dir() else Path(options.root)


def _listing(options: ClassificationOptions, split: str) -> Path:
    """The list of a split: the recipe's or, where that is not there, of another usual name; a test list with ids."""
    base = _base(options)
    name = {"train": options.train, "val": options.val}[split]
    if name == split and not (base / f"{name}.txt").is_file():
        if split == "train":
            name = find_split(base, split, "{}.txt", _has_images) or name
        else:
            name = find_val_or_test(base, "{}.txt", _has_images, _has_ids) or name
    return base / f"{name}.txt"


def _has_images(listing: Path) -> bool:
    return listing.is_file() and listing.with_suffix("").is_dir()


def _has_ids(listing: Path) -> bool:
    words = next(iter(read_lines(listing)), "").split()
    return len(words) > 1 and words[-1].isascii() and words[-1].isdecimal()


def _images(options: ClassificationOptions, split: str) -> Path:
    return _listing(options, split).with_suffix("")


def _entries(listing: Path) -> list[tuple[str, int]]:
    entries = []
    for line in read_lines(listing):
        name, _, number = line.replace("\t", " ").rpartition(" ")
        with skip_invalid("annotation"):
            if not name.strip() or not (number.isascii() and number.isdecimal()) or len(number) > 9:
                raise DataError(f"line {line[:200]!r} is not a file name and a class id from 0", where=str(listing))
            if int(number) >= MOST:
                raise DataError(
                    f"line {line[:200]!r} has a class id above {MOST - 1}", where=str(listing), kind="label"
                )
            entries.append((name.strip(), int(number)))
    return entries
