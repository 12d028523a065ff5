"""Layouts of classification data sets: where the images and class names are.

A layout is one object in FORMATS; `format: auto` takes the first whose `matches` is true.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from umbel import ConfigError, DataError, list_images
from umbel.tasks.classification.options import ClassificationOptions


@dataclass(frozen=True)
class Record:
    """One labelled image.

    Args:
        image: the image file.
        label: class id.
        id: unique within the split.
    """

    image: Path
    label: int
    id: str


class Format(Protocol):
    """One layout."""

    looks_for: str  # what `matches` wants to see, for the error message

    def matches(self, options: ClassificationOptions) -> bool:
        """Whether `root` is laid out this way."""

    def class_names(self, options: ClassificationOptions) -> list[str]:
        """Class names by id; only asked for when the recipe names none."""

    def records(self, options: ClassificationOptions, split: str, class_names: Sequence[str]) -> list[Record]:
        """The images of "train" or "val"."""


class Folders:
    """root/{train,val}/CLASS/*, the same classes in both."""

    looks_for = "a folder of training or validation images"

    def matches(self, options: ClassificationOptions) -> bool:
        return any((Path(options.root) / split).is_dir() for split in (options.train, options.val))

    def class_names(self, options: ClassificationOptions) -> list[str]:
        return _class_folders(Path(options.root) / options.train)

    def records(self, options: ClassificationOptions, split: str, class_names: Sequence[str]) -> list[Record]:
        folder = Path(options.root) / {"train": options.train, "val": options.val}[split]
        found, wanted = set(_class_folders(folder)), set(class_names)
        if found != wanted:
            parts = [("lacks", wanted - found), ("has the unknown", found - wanted)]
            said = " and ".join(f"{verb} {', '.join(sorted(names))}" for verb, names in parts if names)
            source = "class_names" if options.class_names else f"{options.train}/"
            raise DataError(
                f"class folders differ from the classes of {source}: {said}",
                where=str(folder),
                hint="every split needs one folder for every class",
            )
        records = []
        for label, name in enumerate(class_names):
            images = list_images(folder / name)
            if not images:
                raise DataError("no image in this class folder", where=str(folder / name))
            records += [Record(image, label, f"{name}/{image.name}") for image in images]
        return records


FORMATS: dict[str, Format] = {"folders": Folders()}


def find_format(options: ClassificationOptions) -> Format:
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


def read_class_names(options: ClassificationOptions) -> list[str]:
    """Class names by id, from the recipe or else the data set; DataError if they repeat or are none."""
    names = list(options.class_names) or find_format(options).class_names(options)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"class names repeat: {', '.join(twice)}", where=options.root)
    return names


def _class_folders(folder: Path) -> list[str]:
    if not folder.is_dir():
        raise DataError("no such folder", where=str(folder), hint="it holds one folder of images a class")
    names = sorted(child.name for child in folder.iterdir() if child.is_dir() and not child.name.startswith("."))
    if not names:
        raise DataError("holds no class folders", where=str(folder), hint="put the images in one folder a class")
    return names
