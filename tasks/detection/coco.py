"""Reader of COCO annotations: one JSON file with images, annotations and categories."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from umbel import DataError, Size, read_json, resolve_under
from umbel.tasks.detection.records import Annotations, Record, Source

_Box = tuple[list[float], int, bool, str]  # xyxy, class index, crowd, annotation id


def read_coco(source: Source) -> Annotations:
    """Records of a COCO file; category ids, any integers, become 0..K-1 in ascending order.

    Images without boxes are kept. `iscrowd` is read; masks and keypoints are not.

    Raises:
        DataError: the file is not COCO, an id is unknown or given twice, a name leads out of the image folder, or a
            bbox is not four numbers.
    """
    path = source.annotations
    content = read_json(path)
    images, annotations, categories = (_section(content, key, path) for key in ("images", "annotations", "categories"))
    names = {_field(entry, "id", int, path): _field(entry, "name", str, path) for entry in categories}
    _refuse_twice((entry["id"] for entry in categories), "category id", path)
    _refuse_twice((entry["name"] for entry in categories), "category name", path)
    _refuse_twice((_field(entry, "id", (int, str), path) for entry in images), "image id", path)
    _refuse_twice((_field(entry, "file_name", str, path) for entry in images), "file_name", path)
    ids = tuple(sorted(names))
    boxes = _boxes_by_image(annotations, {entry["id"] for entry in images}, {id: k for k, id in enumerate(ids)}, path)
    records = tuple(_record(entry, boxes.get(entry["id"], []), source) for entry in images)
    return Annotations(records, tuple(names[id] for id in ids), ids)


def _boxes_by_image(
    annotations: list[Any], images: set[Any], indices: Mapping[int, int], path: Path
) -> dict[Any, list[_Box]]:
    boxes: dict[Any, list[_Box]] = defaultdict(list)
    for position, entry in enumerate(annotations):
        name = f"annotation {entry['id']}" if isinstance(entry, dict) and "id" in entry else f"annotations[{position}]"
        image = _field(entry, "image_id", (int, str), path, name)
        category = _field(entry, "category_id", int, path, name)
        bbox = _field(entry, "bbox", list, path, name)
        if image not in images:
            raise DataError(f"{name} is on image {image!r}, which is not in images", where=str(path))
        if category not in indices:
            raise DataError(
                f"{name} has category {category}, which is not in categories",
                where=str(path),
                hint=f"categories are {', '.join(map(str, list(indices)[:20]))}",
            )
        if len(bbox) != 4 or any(not isinstance(v, (int, float)) or isinstance(v, bool) for v in bbox):
            raise DataError(f"{name} has bbox {bbox!r}; expected [x, y, width, height]", where=str(path))
        x, y, width, height = (_as_float(v) for v in bbox)
        boxes[image].append(([x, y, x + width, y + height], indices[category], bool(entry.get("iscrowd", 0)), name))
    return boxes


def _record(image: Mapping[str, Any], boxes: list[_Box], source: Source) -> Record:
    name = image["file_name"]
    return Record(
        resolve_under(source.images, name, source=str(source.annotations)),
        name,
        _size(image, source.annotations),
        np.array([box[0] for box in boxes], dtype=np.float64).reshape(-1, 4),
        np.array([box[1] for box in boxes], dtype=np.int64),
        np.array([box[2] for box in boxes], dtype=bool),
        tuple(box[3] for box in boxes),
    )


def _size(image: Mapping[str, Any], path: Path) -> Size | None:
    if image.get("width") is None or image.get("height") is None:
        return None
    name = f"image {image['file_name']!r}"
    return (_field(image, "height", int, path, name), _field(image, "width", int, path, name))


def _section(content: Any, key: str, path: Path) -> list[Any]:
    if not isinstance(content, dict) or not isinstance(content.get(key), list):
        found = (
            f"its keys are {', '.join(map(str, list(content)[:8]))}"
            if isinstance(content, dict)
            else "it holds no object"
        )
        raise DataError(f"is not a COCO file: it has no list {key!r}", where=str(path), hint=found)
    section: list[Any] = content[key]
    return section


def _field(entry: Any, key: str, kind: type | tuple[type, ...], path: Path, name: str = "an entry") -> Any:
    if not isinstance(entry, Mapping) or key not in entry:
        raise DataError(f"{name} has no {key!r}: {str(entry)[:120]}", where=str(path))
    if not isinstance(entry[key], kind) or isinstance(entry[key], bool):
        raise DataError(f"{name} has {key} {str(entry[key])[:80]!r}, of the wrong type", where=str(path))
    return entry[key]


def _as_float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # JSON has integers of any length
        return float("inf")


def _refuse_twice(values: Iterable[Hashable], what: str, path: Path) -> None:
    seen: set[Hashable] = set()
    for value in values:
        if value in seen:
            raise DataError(f"{what} {value!r} is given twice", where=str(path))
        seen.add(value)
