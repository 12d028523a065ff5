"""Layouts of segmentation data sets: where the images, masks and class names are.

A layout is one object in FORMATS; `format: auto` takes the first whose `matches` is true.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from umbel import ConfigError, DataError, list_images, read_lines
from umbel.tasks.segmentation.options import SegmentationOptions

MAX_CLASSES = 255  # label maps are uint8 and need one value for ignored pixels


@dataclass(frozen=True)
class Record:
    """One labelled image.

    Args:
        image: the image file.
        mask: the label map file.
        id: unique within the split.
    """

    image: Path
    mask: Path
    id: str


class Format(Protocol):
    """One layout."""

    looks_for: str  # what `matches` wants to see, for the error message

    def matches(self, options: SegmentationOptions) -> bool:
        """Whether `root` is laid out this way."""

    def class_names(self, options: SegmentationOptions) -> list[str]:
        """Class names by id; only asked for when the recipe names none."""

    def records(self, options: SegmentationOptions, split: str) -> list[Record]:
        """The images of "train" or "val"."""


class Folders:
    """root/images/STEM.*, root/masks/STEM.*, root/{train,val}.txt with stems, root/classes.txt."""

    looks_for = "a folder of images and one of masks"

    def matches(self, options: SegmentationOptions) -> bool:
        root = Path(options.root)
        return (root / options.images).is_dir() and (root / options.masks).is_dir()

    def class_names(self, options: SegmentationOptions) -> list[str]:
        path = Path(options.root) / "classes.txt"
        if not path.is_file():
            raise DataError("no such file", where=str(path), hint="write one class name a line, or set class_names")
        return read_lines(path)

    def records(self, options: SegmentationOptions, split: str) -> list[Record]:
        root = Path(options.root)
        listing = root / {"train": options.train_list, "val": options.val_list}[split]
        stems = read_lines(listing)
        images = _by_stem(root / options.images)
        masks = _by_stem(root / options.masks)
        seen: set[str] = set()
        records = []
        for stem in stems:
            if stem in seen:
                raise DataError(f"lists {stem!r} twice", where=str(listing))
            seen.add(stem)
            image = _one_file(images, stem, root / options.images, listing)
            records.append(Record(image, _one_file(masks, stem, root / options.masks, listing), stem))
        if not records:
            raise DataError("lists no images", where=str(listing))
        return records


FORMATS: dict[str, Format] = {"folders": Folders()}


def find_format(options: SegmentationOptions) -> Format:
    """The layout that the options name, or the one that `root` shows.

    Raises:
        ConfigError: when the name is unknown.
        DataError: when `auto` recognises nothing.
    """
    if options.format != "auto":
        if options.format not in FORMATS:
            raise ConfigError(f"format is {options.format!r}", hint=f"choose auto or one of {', '.join(FORMATS)}")
        return FORMATS[options.format]
    if not Path(options.root).is_dir():
        raise DataError("no such folder", where=options.root, hint="set root to the folder of the data set")
    for candidate in FORMATS.values():
        if candidate.matches(options):
            return candidate
    wanted = "; ".join(f"{name}: {candidate.looks_for}" for name, candidate in FORMATS.items())
    raise DataError("is laid out in no known way", where=options.root, hint=f"looked for {wanted}")


def read_class_names(options: SegmentationOptions) -> list[str]:
    """Class names by id, from the recipe or else the data set; DataError if they repeat, are too many or none."""
    names = list(options.class_names) or find_format(options).class_names(options)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"class names repeat: {', '.join(twice)}", where=options.root)
    if not 1 <= len(names) <= MAX_CLASSES:
        raise DataError(f"has {len(names)} classes; 1..{MAX_CLASSES} are possible", where=options.root)
    return names


def _by_stem(folder: Path) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for path in list_images(folder):
        found.setdefault(path.stem, []).append(path)
    return found


def _one_file(files: dict[str, list[Path]], stem: str, folder: Path, listing: Path) -> Path:
    candidates = files.get(stem, [])
    if not candidates:
        raise DataError(f"no file of stem {stem!r}, which {listing.name} lists", where=str(folder))
    if len(candidates) > 1:
        names = ", ".join(path.name for path in candidates)
        raise DataError(f"several files of stem {stem!r}: {names}", where=str(folder), hint="keep one")
    return candidates[0]
