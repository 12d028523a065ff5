"""Where the lists, XML files and images of a VOC data set are: the options' places, or the usual ones."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from umbel import IMAGE_SUFFIXES, find_split, find_val_or_test, is_hidden, read_lines
from umbel.tasks.detection.options import DetectionOptions

_LISTS = "ImageSets/Main/{}.txt"

_XML = ("{}", "{}/annotations", "{}/Annotations", "{}/labels", "Annotations/{}", "annotations/{}")

_IMAGES = ("{}/images", "{}/JPEGImages", "JPEGImages/{}", "images/{}", "JPEGImages", "images")

_XML_FOLDERS = ("Annotations", "annotations")


def split_list(options: DetectionOptions, split: str) -> Path | None:
    """The list of a split; None where folders make the splits."""
    given = options.train_list if split == "train" else options.val_list
    root = Path(options.root)
    if given:
        return root / given
    name = _listed(root, options, split)
    return root / _LISTS.format(name) if name else None


def split_name(options: DetectionOptions, split: str) -> str | None:
    """By what name the data calls a split that the options say nothing of."""
    root = Path(options.root)
    given = options.train_list if split == "train" else options.val_list
    if given or options.images(split) or options.annotations(split):
        return None
    return _listed(root, options, split) or _in_folders(root, split)[0]


def xml_folder(options: DetectionOptions, split: str) -> Path:
    """The folder of a split's XML files, whether or not it is there."""
    root = Path(options.root)
    if options.annotations(split):
        return root / str(options.annotations(split))
    if split_list(options, split):
        return root / next((name for name in _XML_FOLDERS if (root / name).is_dir()), _XML_FOLDERS[0])
    if options.images(split):
        return root / str(options.images(split))
    name, pattern = _in_folders(root, split)
    return root / (pattern.format(name) if name else split)


def image_folder(options: DetectionOptions, split: str) -> Path:
    """The folder of a split's images, whether or not it is there."""
    root = Path(options.root)
    if options.images(split):
        return root / str(options.images(split))
    if split_list(options, split):
        return root / next((name for name in ("JPEGImages", "images") if (root / name).is_dir()), "JPEGImages")
    if options.annotations(split):
        return root / str(options.annotations(split))
    folder = xml_folder(options, split)
    first = min(xml_files(folder), default=None)
    name, pattern = _in_folders(root, split)
    if first is None or name is None:
        return folder
    stem = first.relative_to(folder).with_suffix("")
    beside = () if pattern == "{}" else _IMAGES  # images that are not with such files are missing
    places = [folder, *(root / image.format(name) for image in beside)]
    return next((place for place in places if _has_image(place / stem)), folder)


def xml_files(folder: Path) -> list[Path]:
    """XML files of a folder and its subfolders, sorted; none if it cannot be listed."""
    return sorted(_walk(folder))


def _walk(folder: Path) -> Iterator[Path]:
    try:
        with os.scandir(folder) as entries:
            listed = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    except OSError:
        return
    for name, is_folder in listed:
        if name.lower().endswith(".xml") and not is_folder:
            yield folder / name
        elif is_folder and not is_hidden(name):
            yield from _walk(folder / name)


def _listed(root: Path, options: DetectionOptions, split: str) -> str | None:
    """The name of a split's list: where there is a test list, that of both others together may be all that trains."""
    if split != "train":
        return find_val_or_test(root, _LISTS, Path.is_file, lambda path: _has_labels(root, path))
    own = find_split(root, "train", _LISTS, Path.is_file)
    together = root / _LISTS.format("trainval")
    if own or find_split(root, "val", _LISTS, Path.is_file) or options.val_list or not together.is_file():
        return own
    return "trainval" if _listed(root, options, "val") else None


def _has_labels(root: Path, listing: Path) -> bool:
    stems = read_lines(listing)[:1]
    return any((root / folder / f"{stem}.xml").is_file() for folder in _XML_FOLDERS for stem in stems)


def _in_folders(root: Path, split: str) -> tuple[str | None, str]:
    """Name of a split and pattern of its XML folder; those directly in a folder go before those below."""

    def direct(path: Path) -> bool:
        return path.is_dir() and any(entry.suffix.lower() == ".xml" for entry in path.iterdir())

    def below(path: Path) -> bool:
        return next(_walk(path), None) is not None

    for accept, patterns in ((direct, _XML), (below, _XML[:1])):
        for pattern in patterns:
            find = find_split if split == "train" else _find_val
            name = find(root, split, pattern, accept)
            if name is not None:
                return name, pattern
    return None, _XML[0]


def _find_val(root: Path, split: str, pattern: str, accept: object) -> str | None:
    return find_val_or_test(root, pattern, accept)  # type: ignore[arg-type]  # an XML file is a label


def _has_image(stem: Path) -> bool:
    return any(stem.with_name(stem.name + end).is_file() for s in IMAGE_SUFFIXES for end in (s, s.upper()))
