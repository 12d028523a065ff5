"""Where the class names, images and labels of a YOLO data set are: as options or data.yaml say, or the usual places."""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path, PurePosixPath

from umbel import IMAGE_SUFFIXES, DataError, find_split, find_val_or_test, is_hidden, read_lines, resolve_under
from umbel.tasks.detection.formats.entries import read_small_file
from umbel.tasks.detection.formats.yolo_yaml import MAX_BYTES, read_description
from umbel.tasks.detection.options import DetectionOptions

_YAMLS = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")

_NAMES = (
    "classes.txt", "obj.names", "labels/classes.txt", "images/classes.txt", "{}/classes.txt", "{}/labels/classes.txt",
    "labels/{}/classes.txt", "{}/_darknet.labels", "obj_train_data/classes.txt",
)  # fmt: skip

_FOLDERS = ("images/{}", "{}/images", "{}")

_LISTS = "{}.txt"

_DARKNET = "data/"  # what its lists write before names, wherever the files are


def names_file(options: DetectionOptions, split: str) -> Path:
    """The data.yaml or text file that names the classes, whether or not it is there."""
    root = Path(options.root)
    given = options.annotations(split)
    if given:
        return root / given
    described = next((root / name for name in _YAMLS if (root / name).is_file()), None) or _other_yaml(root)
    if described is not None or _by_look(root, "train")[1] is None:
        return described or root / _YAMLS[0]
    for pattern in _NAMES:
        name = find_split(root, "train", pattern, Path.is_file)
        if name is not None:
            return root / pattern.format(name)
    return root / _NAMES[0]


def split_places(options: DetectionOptions, split: str) -> tuple[tuple[Path, ...], str]:
    """Folders of a split's images, or files that list them, and the name by which the data calls it; () without any.

    Raises:
        DataError: a data.yaml cannot be read.
    """
    root = Path(options.root)
    if options.images(split):
        return (root / str(options.images(split)),), split
    path = names_file(options, split)
    described = read_description(path).places if path.is_file() else {}
    if split in described:
        return described[split], split
    name, place = _by_look(root, split)
    if place is None and split == "val" and any(labelled(test, root) for test in described.get("test", ())):
        return described["test"], "test"
    return ((place,), name) if place else ((), split)


def labelled(place: Path, root: Path) -> bool:
    """Whether an image of a folder or list has a label file."""
    if not place.is_dir():
        return place.is_file() and any(label_file(image, root).is_file() for image in _listed(place, root)[:20])
    labels = label_file(place / "x", root).parent
    if labels == place:
        texts = islice(place.glob("*.txt"), 20)  # of what may be a million files
        return any(path.with_suffix(end).is_file() for path in texts for s in IMAGE_SUFFIXES for end in (s, s.upper()))
    return labels.is_dir() and next(labels.rglob("*.txt"), None) is not None


def label_file(image: Path, root: Path) -> Path:
    """The label file of an image: in the folder labels in place of the last one called images, or else beside it."""
    parts = list(below(image, root).parts[:-1])
    if "images" in parts:
        parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
    return root.joinpath(*parts, f"{image.stem}.txt")


def listed_image(base: Path, line: str, listing: Path) -> Path:
    """The image that a line of a list names; DataError where it leads out of `base`."""
    name = PurePosixPath(line).as_posix()  # without "./"
    path = resolve_under(base, name, source=str(listing))
    if name.startswith(_DARKNET) and not path.is_file():
        return resolve_under(base, name.removeprefix(_DARKNET), source=str(listing))
    return path


def below(path: Path, root: Path) -> Path:
    """A path from `root` on, where it is below it."""
    return path.relative_to(root) if path.is_relative_to(root) else path


def _by_look(root: Path, split: str) -> tuple[str, Path | None]:
    """Name and place of a split whose images have label files, where it usually is."""
    for pattern in (*_FOLDERS, _LISTS):

        def is_place(path: Path, folder: bool = pattern != _LISTS) -> bool:
            return path.is_dir() == folder and labelled(path, root)

        if split == "train":
            name = find_split(root, split, pattern, is_place)
        else:
            name = find_val_or_test(root, pattern, is_place)
        if name is not None:
            return name, root / pattern.format(name)
    return split, None


def _listed(listing: Path, root: Path) -> list[Path]:
    found = []
    for line in read_lines(listing)[:20]:
        try:
            found.append(listed_image(root, line, listing))
        except DataError:
            continue
    return found


def _other_yaml(root: Path) -> Path | None:
    """The one YAML file of another name that names classes."""
    if not root.is_dir():
        return None
    found = []
    for path in sorted(root.iterdir()):
        if path.suffix.lower() in (".yaml", ".yml") and not is_hidden(path.name) and path.is_file():
            try:
                lines = read_small_file(path, MAX_BYTES)
            except DataError:
                continue
            found += [path] * any(re.match(r"names\s*:", line) for line in lines)
    return found[0] if len(found) == 1 else None
