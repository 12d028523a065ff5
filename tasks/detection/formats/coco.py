"""COCO annotations: one JSON file a split with images, annotations and categories."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from umbel import DataError, Size, read_json, resolve_under, say_test_validates, skip_invalid
from umbel.tasks.detection.formats.coco_places import annotation_file, holding, image_folders, split_name
from umbel.tasks.detection.formats.entries import first_key, get_field, refuse_twice, to_float
from umbel.tasks.detection.formats.records import Annotations, Box, make_record
from umbel.tasks.detection.formats.tt100k import FIRST_KEYS
from umbel.tasks.detection.options import DetectionOptions


class Coco:
    """root/annotations/{train,val}.json and the folders root/{train,val} of images; all names can be set.

    Where they are not there, those that tools write are looked for: see `coco_places`.
    """

    looks_for = (
        "annotations/train.json or annotations/val.json (train_annotations, val_annotations), "
        "also instances_train.json or train/_annotations.coco.json"
    )

    def matches(self, options: DetectionOptions) -> bool:
        files = [path for path in (annotation_file(options, split) for split in ("train", "val")) if path.is_file()]
        return any(path.suffix.lower() == ".json" and first_key(path) not in FIRST_KEYS for path in files)

    def splits(self, options: DetectionOptions) -> list[str]:
        return [split for split in ("train", "val") if annotation_file(options, split).exists()]

    def read(self, options: DetectionOptions, split: str) -> Annotations:
        say_test_validates(split_name(options, split) or "", Path(options.root))
        return read_coco(image_folders(options, split), annotation_file(options, split))


def read_coco(images: Path | Sequence[Path], path: Path) -> Annotations:
    """Records of a COCO file; category ids, any integers, become 0..K-1 in ascending order.

    Images without boxes are kept. `iscrowd` is read; masks and keypoints are not.

    Args:
        images: folder of the images; of several the one that holds them.
        path: the JSON file.

    Raises:
        DataError: the file is not COCO, an id is unknown or given twice, a name leads out of the image folder, or a
            bbox is not four numbers.
    """
    content = read_json(path)
    pictures, annotations, categories = (
        _section(content, key, path) for key in ("images", "annotations", "categories")
    )
    categories = _with_fields(categories, {"id": int, "name": str}, path)
    pictures = _with_fields(pictures, {"id": (int, str), "file_name": str}, path)
    categories = _without_group(categories, annotations)
    names = {entry["id"]: entry["name"] for entry in categories}
    refuse_twice((entry["id"] for entry in categories), "category id", path)
    refuse_twice((entry["name"] for entry in categories), "category name", path)
    refuse_twice((entry["id"] for entry in pictures), "image id", path)
    refuse_twice((entry["file_name"] for entry in pictures), "file_name", path)
    ids = tuple(sorted(names))
    indices = {id: k for k, id in enumerate(ids)}
    folder = images if isinstance(images, Path) else holding(images, [entry["file_name"] for entry in pictures])
    boxes = _boxes_by_image(annotations, {entry["id"] for entry in pictures}, indices, path)
    records = []
    for entry in pictures:
        with skip_invalid("annotation"):
            file, size = resolve_under(folder, entry["file_name"], source=str(path)), _size(entry, path)
            records.append(
                make_record(file, entry["file_name"], path, boxes.get(entry["id"], []), size=size, image_id=entry["id"])
            )
    return Annotations(tuple(records), tuple(names[id] for id in ids), ids, str(path))


def _without_group(categories: list[Mapping[str, Any]], annotations: list[Any]) -> list[Mapping[str, Any]]:
    """The categories but for the one that some tools add for all others together, unless a box is of it."""
    groups = [entry for entry in categories if entry.get("supercategory") == "none"]
    others = [entry for entry in categories if entry.get("supercategory") != "none"]
    if len(groups) != 1 or not others or any(entry.get("supercategory") != groups[0]["name"] for entry in others):
        return categories
    used = any(isinstance(entry, dict) and entry.get("category_id") == groups[0]["id"] for entry in annotations)
    return categories if used else others


def _with_fields(
    entries: list[Any], fields: Mapping[str, type | tuple[type, ...]], path: Path
) -> list[Mapping[str, Any]]:
    """The entries, every one with these fields of these types."""
    good = []
    for entry in entries:
        with skip_invalid("annotation"):
            for key, kind in fields.items():
                get_field(entry, key, kind, path)
            good.append(entry)
    return good


def _boxes_by_image(
    annotations: list[Any], images: set[Any], indices: Mapping[int, int], path: Path
) -> dict[Any, list[Box]]:
    boxes: dict[Any, list[Box]] = defaultdict(list)
    for position, entry in enumerate(annotations):
        name = f"annotation {entry['id']}" if isinstance(entry, dict) and "id" in entry else f"annotations[{position}]"
        with skip_invalid("annotation"):
            image, box = _box(entry, name, images, indices, path)
            boxes[image].append(box)
    return boxes


def _box(entry: Any, name: str, images: set[Any], indices: Mapping[int, int], path: Path) -> tuple[int | str, Box]:
    """The image and the box of an annotation."""
    image = get_field(entry, "image_id", (int, str), path, name)
    category = get_field(entry, "category_id", int, path, name)
    bbox = get_field(entry, "bbox", list, path, name)
    if image not in images:
        raise DataError(f"{name} is on image {image!r}, which is not in images", where=str(path), kind="unknown-image")
    if category not in indices:
        raise DataError(
            f"{name} has category {category}, which is not in categories",
            where=str(path),
            hint=f"categories are {', '.join(map(str, list(indices)[:20]))}",
            kind="label",
        )
    if len(bbox) != 4 or any(not isinstance(v, (int, float)) or isinstance(v, bool) for v in bbox):
        raise DataError(f"{name} has bbox {str(bbox)[:80]}; expected [x, y, width, height]", where=str(path))
    if entry.get("iscrowd") not in (None, 0, 1):  # the string "0" would count as a crowd
        raise DataError(f"{name} has iscrowd {str(entry['iscrowd'])[:80]!r}; expected 0 or 1", where=str(path))
    x, y, width, height = (to_float(v) for v in bbox)
    return image, Box((x, y, x + width, y + height), indices[category], bool(entry.get("iscrowd")), name)


def _size(image: Mapping[str, Any], path: Path) -> Size | None:
    if image.get("width") is None or image.get("height") is None:
        return None
    name = f"image {image['file_name']!r}"
    return (get_field(image, "height", int, path, name), get_field(image, "width", int, path, name))


def _section(content: Any, key: str, path: Path) -> list[Any]:
    if not isinstance(content, dict) or not isinstance(content.get(key), list):
        found = (
            f"its keys are {', '.join(map(str, list(content)[:8]))}"
            if isinstance(content, dict)
            else "it holds no object"
        )
        raise DataError(f"is not a COCO file: it has no list {key!r}", where=str(path), hint=found, kind="annotation")
    section: list[Any] = content[key]
    return section
