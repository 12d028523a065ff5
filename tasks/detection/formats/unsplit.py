"""Images with boxes and without a validation split, as `umbel init` finds them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from umbel import DataError, list_images, read_json
from umbel.tasks.detection.formats.registry import FORMATS
from umbel.tasks.detection.formats.yolo_places import split_places
from umbel.tasks.detection.options import DetectionOptions

_MOST_FILES = 8  # a folder of more JSON files has one an image, which is no COCO

_TRIED = 20  # images of a COCO file that are looked for


def unsplit(folder: Path, layout: str | None) -> dict[str, Any] | None:
    """Options that read all images of a folder as training data; None if it has a validation split, or no such images.

    Args:
        folder: of the data set.
        layout: the format that it is in, or None: then a COCO file, YOLO labels or VOC XML files are looked for.

    Raises:
        DataError: a data.yaml cannot be read.
    """
    if layout is None:
        found = [options for options in (_coco(folder), _yolo(folder), _voc(folder)) if options is not None]
        return found[0] if len(found) == 1 else None
    options = DetectionOptions(root=str(folder))
    if layout == "yolo":
        train, val = (split_places(options, split)[0] for split in ("train", "val"))
        if train or val:
            return {"format": layout} if train and val in ((), train) else None
        return {"format": layout, "train_images": "images" if (folder / "images").is_dir() else "."}
    splits = FORMATS[layout].splits(options)
    return {"format": layout} if "train" in splits and "val" not in splits else None


def _coco(folder: Path) -> dict[str, Any] | None:
    """FOLDER/*.json or FOLDER/*/*.json, the only one, with its images in any folder."""
    paths = [path for pattern in ("*.json", "*/*.json") for path in sorted(folder.glob(pattern))]
    paths = [path for path in paths if not path.name.startswith("polygons_")]  # those of segmentation
    if len(paths) > _MOST_FILES:
        return None
    files = {path: names for path in paths if (names := _coco_images(path)) is not None}
    if len(files) != 1:
        return None
    ((path, names),) = files.items()
    inner = _folders(folder)
    places = [path.parent, folder, *inner, *(below for place in inner for below in _folders(place))]
    images = max(places, key=lambda place: sum((place / name).is_file() for name in names))
    return {"format": "coco", "train_annotations": _below(path, folder), "train_images": _below(images, folder)}


def _coco_images(path: Path) -> list[str] | None:
    """Names of some images of a COCO file; None for any other file."""
    try:
        content = read_json(path)
    except DataError:
        return None
    keys = ("images", "annotations", "categories")
    if not isinstance(content, dict) or any(not isinstance(content.get(key), list) for key in keys):
        return None
    names = [entry.get("file_name") for entry in content["images"][:_TRIED] if isinstance(entry, dict)]
    return [name for name in names if isinstance(name, str)]


def _yolo(folder: Path) -> dict[str, Any] | None:
    """FOLDER/images/* with FOLDER/labels/*.txt, or FOLDER/* with FOLDER/*.txt; and a classes.txt."""
    inside = (folder / "images").is_dir()
    images, labels = (folder / "images", folder / "labels") if inside else (folder, folder)
    stems = {path.stem for path in labels.glob("*.txt")}
    if not any(path.stem in stems for path in list_images(images)):
        return None
    places = [place for place in (folder / "classes.txt", labels / "classes.txt") if place.is_file()]
    names = _below(places[0], folder) if places else "classes.txt"
    return {"format": "yolo", "train_annotations": names, "train_images": _below(images, folder)}


def _voc(folder: Path) -> dict[str, Any] | None:
    """A folder of XML files, the only one, and the folder with the image of the first: beside them or below FOLDER."""
    for listing in ("ImageSets/Main/trainval.txt", "ImageSets/Main/default.txt"):
        if (folder / listing).is_file():
            return {"format": "voc", "train_list": listing}
    places = [folder, *_folders(folder)]
    holders = [place for place in places if next(place.glob("*.xml"), None) is not None]
    if len(holders) != 1:
        return None
    stem = min(holders[0].glob("*.xml")).stem
    images = [place for place in places if any(path.stem == stem for path in list_images(place))]
    if len(images) != 1:
        return None
    annotations, pictures = (_below(place, folder) for place in (holders[0], images[0]))
    return {"format": "voc", "train_annotations": annotations, "train_images": pictures}


def _folders(folder: Path) -> Sequence[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _below(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()
