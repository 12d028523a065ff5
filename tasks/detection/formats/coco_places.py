"""Where the annotations and images of a COCO data set are: the options' places, or the usual ones of tools."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from umbel import DataError, find_split, find_val_or_test, read_json
from umbel.tasks.detection.formats.entries import first_key
from umbel.tasks.detection.formats.tt100k import FIRST_KEYS
from umbel.tasks.detection.options import DetectionOptions

_OWN = "annotations/{}.json"

_FILES = (
    _OWN, "annotations/instances_{}.json", "annotations/instances_{}2017.json", "annotations/instances_{}2014.json",
    "{}/_annotations.coco.json", "{}/annotations.json", "{}/labels.json", "{}.json", "instances_{}.json",
    "{}_annotations.json", "annotations_{}.json",
)  # fmt: skip

_COCO_KEYS = ("info", "licenses", "license", "images", "annotations", "categories", "type")

_IMAGES = ("{}", "images/{}", "{}2017", "{}2014", "images/{}2017", "{}/images", "{}/data", "images", "data", ".")

_TRIED = 20  # images that are looked for


def annotation_file(options: DetectionOptions, split: str) -> Path:
    """The annotations of a split, whether or not they are there."""
    root = Path(options.root)
    if options.annotations(split):
        return root / str(options.annotations(split))
    name, pattern = _find(root, split)
    return root / (pattern.format(name) if name else _OWN.format(split))


def split_name(options: DetectionOptions, split: str) -> str | None:
    """By what name the data calls a split that the options say nothing of."""
    return None if options.annotations(split) else _find(Path(options.root), split)[0]


def image_folders(options: DetectionOptions, split: str) -> list[Path]:
    """Folders that may hold the images of a split, the likeliest first."""
    root = Path(options.root)
    if options.images(split):
        return [root / str(options.images(split))]
    name = split_name(options, split) or split
    parent = annotation_file(options, split).parent
    return list(dict.fromkeys([root / split, *(root / pattern.format(name) for pattern in _IMAGES), parent]))


def holding(folders: Sequence[Path], names: Sequence[str]) -> Path:
    """The folder that holds most of some files; the first of those that hold as many."""
    if len(folders) == 1:
        return folders[0]
    tried = [name for name in names[:_TRIED] if "\0" not in name]
    return max(folders, key=lambda folder: sum(_is_file(folder / name) for name in tried))


def is_coco(path: Path) -> bool:
    """Whether a file looks like COCO, by its first key."""
    return path.is_file() and path.suffix.lower() == ".json" and first_key(path) in _COCO_KEYS


def _find(root: Path, split: str) -> tuple[str | None, str]:
    """Name of a split and pattern of its file."""
    own = root / _OWN.format(split)
    if own.is_file() and first_key(own) not in FIRST_KEYS:
        return split, _OWN
    if split == "train":
        found = ((find_split(root, split, pattern, is_coco), pattern) for pattern in _FILES)
        return next((pair for pair in found if pair[0]), (None, _OWN))
    for find in (find_split, None):  # a test split only where no pattern finds a validation split
        for pattern in _FILES:
            if find:
                name = find(root, split, pattern, is_coco)
            else:
                name = find_val_or_test(root, pattern, is_coco, _has_labels)
            if name:
                return name, pattern
    return None, _OWN


def _has_labels(path: Path) -> bool:
    try:
        content = read_json(path)
    except DataError:
        return False
    return isinstance(content, dict) and bool(content.get("annotations"))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
