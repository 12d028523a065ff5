"""One Pascal VOC annotation: an XML file of an image, taken from strangers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from umbel import DataError, Size, skip_invalid
from umbel.tasks.detection.formats.entries import read_small_file

MAX_BYTES = 4 * 2**20  # some ten thousand objects

MAX_DEPTH = 32  # VOC itself nests 4 deep

DIFFICULT = {"1": True, "true": True, "0": False, "false": False, "": False, "unspecified": False}

SIDES = ("xmin", "ymin", "xmax", "ymax")


@dataclass(frozen=True)
class VocObject:
    """A labelled object: its class, its corners in pixels as written, and VOC's mark of what people struggle to see."""

    name: str
    corners: tuple[float, float, float, float]
    difficult: bool


@dataclass(frozen=True)
class VocImage:
    """An annotated image: the file name and size that the XML states, where it does, and the objects in order."""

    file_name: str | None
    size: Size | None
    objects: tuple[VocObject, ...]


def read_voc_xml(path: Path) -> VocImage:
    """The annotation of one image; `part`s of objects and everything else are not read.

    Raises:
        DataError: no UTF-8 XML of <annotation>, a document type (the way to entities that expand without end), more
            than 4 MiB or 32 levels, or an object without name, without numbers, or with no or several boxes.
    """
    root = _parse("\n".join(read_small_file(path, MAX_BYTES)), path)
    if root.tag != "annotation":
        raise DataError(f"has the root <{root.tag[:40]}>; expected <annotation> of Pascal VOC", where=str(path))
    objects = []
    for k, entry in enumerate(root.findall("object"), start=1):
        with skip_invalid("annotation"):
            objects.append(_object(entry, f"object {k}", path))
    size = None
    with skip_invalid("annotation"):
        size = _size(root, path)
    return VocImage(_text(root, "filename"), size, tuple(objects))


class _GuardedTree(ElementTree.TreeBuilder):
    """Builds a tree without document types and of bounded depth."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = str(path)
        self._depth = 0

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise DataError("has a DOCTYPE, which may define entities; remove it", where=self._path)

    def start(self, tag: str, attrs: dict[str, str]) -> ElementTree.Element:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise DataError(f"nests elements more than {MAX_DEPTH} deep", where=self._path)
        return super().start(tag, attrs)

    def end(self, tag: str) -> ElementTree.Element:
        self._depth -= 1
        return super().end(tag)


def _parse(text: str, path: Path) -> ElementTree.Element:
    parser = ElementTree.XMLParser(target=_GuardedTree(path))
    try:
        parser.feed(text)
        root: ElementTree.Element = parser.close()
    except (ElementTree.ParseError, ValueError) as error:
        raise DataError(f"is not valid XML: {error}", where=str(path)) from None
    return root


def _object(entry: ElementTree.Element, what: str, path: Path) -> VocObject:
    name = _text(entry, "name")
    if not name:
        raise DataError(f"{what} has no name", where=str(path))
    boxes = entry.findall("bndbox")
    if len(boxes) != 1:
        raise DataError(f"{what}, {name[:80]!r}, has {len(boxes)} bndbox; expected one", where=str(path))
    x1, y1, x2, y2 = (_number(boxes[0], side, f"{what}, {name[:80]!r},", path) for side in SIDES)
    mark = _text(entry, "difficult") or ""
    if mark.lower() not in DIFFICULT:
        raise DataError(f"{what}, {name[:80]!r}, has difficult {mark[:80]!r}; expected 0 or 1", where=str(path))
    return VocObject(name, (x1, y1, x2, y2), DIFFICULT[mark.lower()])


def _size(root: ElementTree.Element, path: Path) -> Size | None:
    size = root.find("size")
    if size is None:
        return None
    width, height = (_number(size, side, "size", path) for side in ("width", "height"))
    if width == height == 0:  # how some tools say that they do not know
        return None
    if not (width.is_integer() and height.is_integer() and width > 0 and height > 0):
        raise DataError(f"has size {width:g} x {height:g}; expected whole pixels", where=str(path))
    return int(height), int(width)


def _number(entry: ElementTree.Element, key: str, what: str, path: Path) -> float:
    text = _text(entry, key)
    try:
        return float(text or "")
    except ValueError:
        raise DataError(f"{what} has {key} {(text or '')[:80]!r}; expected a number", where=str(path)) from None


def _text(entry: ElementTree.Element, key: str) -> str | None:
    text = entry.findtext(key)
    return None if text is None else text.strip()
