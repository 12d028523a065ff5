"""Reading a submission file of either form, with an error that names the entry that is wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from umbel import DataError, read_text
from umbel_challenge.polygons import FARTHEST
from umbel_challenge.submission import SECTIONS, BoxEntry, Submission

_FORM = (
    'a submission is {"cls": {image: id}, "dec": [{image_id, category_id, bbox, score}], '
    '"seg": {image: {class: polygons}}}'
)

_BOX_KEYS = ("image_id", "category_id", "bbox", "score")


def read_submission(path: Path, sections: Sequence[str] = SECTIONS) -> Submission:
    """Read and check a submission.

    Args:
        path: the file.
        sections: the keys that must be there; others are not looked at.

    Raises:
        DataError: naming the entry that is missing, given twice or malformed.
    """
    content = _content(path)
    missing = [section for section in sections if section not in content]
    if missing:
        found = ", ".join(map(repr, content)) or "nothing"
        raise DataError(f"has no key {missing[0]!r}", where=str(path), hint=f"it has {found}; {_FORM}")
    submission = Submission()
    if "cls" in sections:
        submission.cls = {
            name: _class(value, f"cls, image {name!r}", path) for name, value in _named(content, "cls", path)
        }
    if "dec" in sections:
        entries = _typed(content["dec"], list, "dec", "a list of detections", path)
        submission.dec = [_box(entry, f"dec, entry {position}", path) for position, entry in enumerate(entries)]
    if "seg" in sections:
        submission.seg = {
            name: _polygons(value, f"seg, image {name!r}", path) for name, value in _named(content, "seg", path)
        }
    return submission


def sections_in(path: Path) -> list[str]:
    """The sections that a file has; DataError where it is no submission."""
    return [section for section in SECTIONS if section in _content(path)]


def _content(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(read_text(path), object_pairs_hook=lambda pairs: _once(pairs, path))
    except (ValueError, RecursionError) as error:
        raise DataError(f"is not valid JSON: {error}", where=str(path), hint="it may be cut off") from None
    if not isinstance(content, dict):
        raise DataError("holds no object", where=str(path), hint=_FORM)
    return content


def _once(pairs: list[tuple[str, Any]], path: Path) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise DataError(f"has the key {twice!r} twice in one object", where=str(path))
    return content


def _named(content: dict[str, Any], section: str, path: Path) -> Iterator[tuple[str, Any]]:
    """Images with their values, of either form."""
    value = content[section]
    if isinstance(value, dict):
        yield from value.items()
        return
    seen: set[str] = set()
    for position, entry in enumerate(_typed(value, list, section, "an object or a list of one-key objects", path)):
        what = f"{section}, entry {position}"
        if not isinstance(entry, dict) or len(entry) != 1:
            raise DataError(f"{what} is no object of one key: {_short(entry)}", where=str(path), hint=_FORM)
        [(name, of_image)] = entry.items()
        if name in seen:
            raise DataError(f"{section} has image {name!r} twice", where=str(path))
        seen.add(name)
        yield name, of_image


def _class(value: Any, what: str, path: Path) -> int:
    if type(value) is not int or value < 0:
        raise DataError(f"{what} has class {_short(value)}, which is not a whole number from 0", where=str(path))
    return value


def _box(entry: Any, what: str, path: Path) -> BoxEntry:
    if not isinstance(entry, dict):
        raise DataError(f"{what} is no object: {_short(entry)}", where=str(path), hint=_FORM)
    for key in _BOX_KEYS:
        if key not in entry:
            raise DataError(f"{what} has no {key!r}: {_short(entry)}", where=str(path), hint=_FORM)
    image, category, box, score = (entry[key] for key in _BOX_KEYS)
    what = f"{what} on image {_short(image)}"
    if type(image) not in (int, str):
        raise DataError(f"{what} has no proper image_id", where=str(path))
    if type(category) is not int:
        raise DataError(f"{what} has category_id {_short(category)}, which is no whole number", where=str(path))
    if not isinstance(box, list) or len(box) != 4 or not all(map(_finite, box)):
        raise DataError(
            f"{what} has bbox {_short(box)}; expected 4 finite numbers x, y, width, height", where=str(path)
        )
    if box[2] < 0 or box[3] < 0:
        raise DataError(f"{what} has bbox {_short(box)} of a negative width or height", where=str(path))
    if not _finite(score):
        raise DataError(f"{what} has score {_short(score)}, which is no finite number", where=str(path))
    x, y, width, height = map(float, box)
    return BoxEntry(image, category, (x, y, width, height), float(score))


def _polygons(value: Any, what: str, path: Path) -> dict[int, list[np.ndarray]]:
    polygons = {}
    for key, contours in _typed(value, dict, what, "an object of polygons by class", path).items():
        if not (key.isascii() and key.isdecimal()) or len(key) > 3 or int(key) > 255 or int(key) in polygons:
            raise DataError(f"{what} has class {key!r}; expected a number of 0..255, once", where=str(path))
        listed = _typed(contours, list, f"{what}, class {key}", "a list of contours", path)
        polygons[int(key)] = [
            _contour(contour, f"{what}, class {key}, contour {position}", path)
            for position, contour in enumerate(listed)
        ]
    return polygons


def _contour(value: Any, what: str, path: Path) -> np.ndarray:
    """(V, 2) or, for one pixel, (2,) int32."""
    try:
        points = np.asarray(value)
    except ValueError:  # rows of different lengths
        points = np.asarray(None)
    if points.dtype.kind not in "iuf" or points.size == 0 or points.ndim not in (1, 2) or points.shape[-1] != 2:
        raise DataError(f"{what} is no list of [x, y] vertices: {_short(value)}", where=str(path))
    if not (np.abs(points) <= FARTHEST).all():  # false for NaN
        raise DataError(f"{what} has a vertex that is not within +-{FARTHEST}: {_short(value)}", where=str(path))
    rounded: np.ndarray = np.rint(points).astype(np.int32)
    return rounded


def _typed(value: Any, kind: type, what: str, wanted: str, path: Path) -> Any:
    if not isinstance(value, kind):
        raise DataError(f"{what} is not {wanted}: {_short(value)}", where=str(path), hint=_FORM)
    return value


def _finite(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= 1e300  # false for NaN


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
