"""Readers of polygon annotations in JSON: COCO, VIA, BDD100K/Scalabel, and the plain {file: [{label, points}]}.

Every reader gives the shapes of each image by its file name, in the order of the file: polygons, and open lines where
the file says so. Point coordinates are pixel indices: (0, 0) is the middle of the top left pixel.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from umbel import DataError, read_json, skip_invalid

FARTHEST = 100_000  # pixels from the origin; beyond any image, and safe in OpenCV's fixed-point numbers

_EXPECTED = "expected COCO, VIA, BDD100K labels or {file: [{label, points}]}"

_OUTLINE = "draw it as a polygon, or take it off the file"

_LABELME = {"polygon": True, "line": False, "linestrip": False}  # and whether it is an area

Point = tuple[float, float]


@dataclass(frozen=True)
class Shape:
    """One labelled polygon of three or more points or, if it is not closed, a line of two or more."""

    label: str
    points: tuple[Point, ...]
    closed: bool = True


@dataclass(frozen=True)
class PolygonFile:
    """Polygon annotations of a split.

    Args:
        images: shapes by image file name.
        class_names: by category id where the file has ids, else sorted.
    """

    images: dict[str, tuple[Shape, ...]]
    class_names: tuple[str, ...]


def read_polygons(path: Path) -> PolygonFile:
    """Read any of the supported files, told apart by their structure.

    Raises:
        DataError: the file is of none of these kinds, or an entry is broken; names file, image and entry.
    """
    content = read_json(path)
    if isinstance(content, dict) and isinstance(content.get("annotations"), list):
        return _read_coco(content, path)
    if isinstance(content, dict) and isinstance(content.get("_via_img_metadata"), dict):
        content = content["_via_img_metadata"]
    if isinstance(content, dict) and isinstance(content.get("frames"), list):
        content = content["frames"]
    if not isinstance(content, (list, dict)):
        raise DataError("holds no polygon annotations", where=str(path), hint=_EXPECTED, kind="annotation")
    images: dict[str, tuple[Shape, ...]] = {}
    for key, entry in enumerate(content) if isinstance(content, list) else content.items():
        with skip_invalid("annotation"):
            name, shapes = _scalabel_or_other(key, entry, path)
            if name in images:
                raise DataError(f"has image {name!r} twice", where=str(path), kind="duplicate-id")
            images[name] = tuple(shapes)
    return PolygonFile(images, tuple(sorted({shape.label for shapes in images.values() for shape in shapes})))


def _scalabel_or_other(key: int | str, entry: Any, path: Path) -> tuple[str, Iterable[Shape]]:
    """The image and the shapes of an entry of a list, which is Scalabel's, or of a mapping."""
    if isinstance(key, int):
        return _get(entry, "name", str, path, f"entry {key}"), _scalabel(entry, path)
    return _plain_or_via(key, entry, path)


def _read_coco(content: dict[str, Any], path: Path) -> PolygonFile:
    categories: dict[int, str] = {}
    for entry in _get(content, "categories", list, path, "the file"):
        with skip_invalid("annotation"):
            number = _get(entry, "id", int, path, "a category")
            if number in categories:
                raise DataError(f"category id {number} is given twice", where=str(path), kind="duplicate-id")
            categories[number] = _get(entry, "name", str, path, f"category {number}")
    files: dict[Any, str] = {}
    names: set[str] = set()
    for entry in _get(content, "images", list, path, "the file"):
        with skip_invalid("annotation"):
            number = _get(entry, "id", (int, str), path, "an image")
            name = _get(entry, "file_name", str, path, "an image")
            if number in files or name in names:
                raise DataError(f"image {number!r} ({name}) is given twice", where=str(path), kind="duplicate-id")
            files[number] = name
            names.add(name)
    shapes: dict[str, list[Shape]] = {name: [] for name in files.values()}
    for position, entry in enumerate(content["annotations"]):
        what = f"annotation {entry.get('id', position) if isinstance(entry, dict) else position}"
        with skip_invalid("annotation"):
            image, found = _coco_shapes(entry, what, files, categories, path)
            shapes[image] += found
    return PolygonFile(
        {name: tuple(found) for name, found in shapes.items()},
        tuple(categories[number] for number in sorted(categories)),
    )


def _coco_shapes(
    entry: Any, what: str, files: dict[Any, str], categories: dict[int, str], path: Path
) -> tuple[str, list[Shape]]:
    """The image file and the polygons of an annotation."""
    image, category = (_get(entry, key, (int, str), path, what) for key in ("image_id", "category_id"))
    if image not in files:
        raise DataError(f"{what} is on image {image!r}, which is not in images", where=str(path), kind="unknown-image")
    if category not in categories:
        raise DataError(f"{what} has category {category!r}, which is not in categories", where=str(path), kind="label")
    rings = entry.get("segmentation")
    if not isinstance(rings, list) or not rings:
        hint = "run-length masks and boxes are not read"
        raise DataError(f"{what} has no polygons but {str(rings)[:60]}", where=str(path), hint=hint)
    pairs = [
        list(zip(ring[::2], ring[1::2], strict=False)) if isinstance(ring, list) and len(ring) % 2 == 0 else ring
        for ring in rings
    ]
    return files[image], [Shape(categories[category], _points(points, path, what)) for points in pairs]


def _plain_or_via(name: str, entry: Any, path: Path) -> tuple[str, Iterable[Shape]]:
    if isinstance(entry, list):
        return name, [_plain(shape, f"image {name!r}", f"shape {i} of {name!r}", path) for i, shape in enumerate(entry)]
    if not isinstance(entry, dict) or "regions" not in entry:
        raise DataError(f"{name!r} has no polygons", where=str(path), hint=_EXPECTED)
    file = _get(entry, "filename", str, path, f"image {name!r}")
    return file, list(_via(entry["regions"], file, path))


def _plain(shape: Any, image: str, what: str, path: Path) -> Shape:
    """A shape with `label` and `points`; labelme adds a `shape_type`, and any may say `closed: false`."""
    label, points = (_get(shape, key, kind, path, image) for key, kind in (("label", str), ("points", list)))
    kind = shape.get("shape_type") or "polygon"
    if kind not in _LABELME:
        known = ", ".join(_LABELME)
        raise DataError(f"{what} is a {str(kind)[:40]}; only {known} are read", where=str(path), hint=_OUTLINE)
    closed = _LABELME[kind] and _closed(shape, path, what)
    return Shape(label, _points(points, path, what, closed), closed)


def _closed(part: Any, path: Path, what: str) -> bool:
    """What an entry says of its outline: only `closed: false` leaves it open."""
    closed = part.get("closed")
    if closed is not None and not isinstance(closed, bool):
        raise DataError(f"{what} has closed: {str(closed)[:40]!r}", where=str(path), hint="expected true or false")
    return closed is not False


def _via(regions: Any, file: str, path: Path) -> Iterator[Shape]:
    """VGG Image Annotator: regions are a list, in its first version a dict."""
    listed = list(regions.values()) if isinstance(regions, dict) else regions
    for position, region in enumerate(_list(listed, path, f"image {file!r} has no list of regions")):
        what = f"region {position} of {file!r}"
        shape = _get(region, "shape_attributes", dict, path, what)
        kind = shape.get("name")
        if kind not in ("polygon", "polyline"):
            raise DataError(f"{what} is a {kind}; only polygons and polylines are read", where=str(path), hint=_OUTLINE)
        xs, ys = (_get(shape, key, list, path, what) for key in ("all_points_x", "all_points_y"))
        if len(xs) != len(ys):
            raise DataError(f"{what} has {len(xs)} x for {len(ys)} y", where=str(path))
        attributes = _get(region, "region_attributes", dict, path, what)
        labels = [value for value in attributes.values() if isinstance(value, str) and value]
        if len(labels) != 1:
            raise DataError(
                f"{what} has {len(labels)} attributes that could be its class: {attributes}", where=str(path)
            )
        closed = kind == "polygon"
        yield Shape(labels[0], _points(list(zip(xs, ys, strict=True)), path, what, closed), closed)


def _scalabel(frame: Any, path: Path) -> Iterator[Shape]:
    """BDD100K: the entries of a label's poly2d, areas or lines; labels without one, such as boxes, are passed over."""
    name = frame["name"]
    for position, label in enumerate(_list(frame.get("labels") or [], path, f"image {name!r} has no list of labels")):
        what = f"label {position} of {name!r}"
        category = _get(label, "category", str, path, what)
        for part in _list(label.get("poly2d") or [], path, f"{what} has no list poly2d"):
            if "C" in str(part.get("types", "") if isinstance(part, dict) else ""):
                raise DataError(
                    f"{what} has curves; only straight lines are read", where=str(path), hint="use the masks"
                )
            vertices = _get(part, "vertices", list, path, what)
            closed = _closed(part, path, what)
            yield Shape(category, _points(vertices, path, what, closed), closed)


def _points(pairs: Any, path: Path, what: str, closed: bool = True) -> tuple[Point, ...]:
    good = isinstance(pairs, list) and all(
        isinstance(pair, (list, tuple)) and len(pair) == 2 and all(_is_coordinate(value) for value in pair)
        for pair in pairs
    )
    if not good or len(pairs) < (3 if closed else 2):
        wanted = "polygon of three" if closed else "line of two"
        raise DataError(
            f"{what} has no {wanted} or more finite points: {str(pairs)[:80]}", where=str(path), hint=_EXPECTED
        )
    return tuple((float(x), float(y)) for x, y in pairs)


def _is_coordinate(value: Any) -> bool:
    return isinstance(value, (int, float)) and abs(value) <= FARTHEST  # false for NaN


def _get(entry: Any, key: str, kind: type | tuple[type, ...], path: Path, what: str) -> Any:
    if not isinstance(entry, dict) or not isinstance(entry.get(key), kind):
        raise DataError(f"{what} has no proper {key!r}: {str(entry)[:80]}", where=str(path), hint=_EXPECTED)
    return entry[key]


def _list(value: Any, path: Path, problem: str) -> list[Any]:
    if not isinstance(value, list):
        raise DataError(f"{problem}: {str(value)[:80]}", where=str(path), hint=_EXPECTED)
    return value
