"""The layout of images with polygons in JSON."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from umbel import DataError, find_split, missing_hint, resolve_under, say_test_validates, skip_invalid
from umbel.tasks.segmentation.formats.class_sets import UNLABELLED
from umbel.tasks.segmentation.formats.drawing import Drawing, Outline
from umbel.tasks.segmentation.formats.folders import split_list
from umbel.tasks.segmentation.formats.polygon_files import Shape, read_polygons
from umbel.tasks.segmentation.formats.records import Record, Split
from umbel.tasks.segmentation.options import SegmentationOptions

_VIA = "via_region_data.json"  # as its users have called it since a well-known tutorial


class Polygons:
    """root/images[/SPLIT] with root/polygons_{train,val}.json of one of the kinds of `polygon_files`.

    Or root/SPLIT with the images and VIA's via_region_data.json among them.
    """

    looks_for = (
        "a folder of images and the file of train_polygons or val_polygons (polygons_train.json ...), or "
        "train/via_region_data.json"
    )

    def matches(self, options: SegmentationOptions) -> bool:
        files = [path for path in _files(options).values() if path.is_file()]
        return any((Path(options.root) / options.images).is_dir() or path.name == _VIA for path in files)

    def has_val(self, options: SegmentationOptions) -> bool:
        return _files(options)["val"].exists()

    def class_names(self, options: SegmentationOptions) -> list[str]:
        """The background, if it has a name, and the classes of both splits."""
        names = [options.background] if options.background is not None else []
        for path in _files(options).values():
            if path.is_file():
                names += read_polygons(path).class_names
        return list(dict.fromkeys(names))

    def read(self, options: SegmentationOptions, split: str) -> Split:
        path = _files(options)[split]
        file = read_polygons(path)
        names = self.class_names(options)
        if len(names) > UNLABELLED:
            raise DataError(f"has {len(names)} classes; at most {UNLABELLED} are possible", where=str(path))
        if split == "val" and options.val_polygons == "polygons_val.json":
            say_test_validates(path.parent.name if path.name == _VIA else path.stem.rpartition("_")[2], path.parent)
        images = _image_folder(options, split, path)
        values = {name: value for value, name in enumerate(names)}
        fill = UNLABELLED if options.background is None else values[options.background]
        records = []
        for name, shapes in file.images.items():
            with skip_invalid("annotation"):
                image = resolve_under(images, name, source=str(path))
                with skip_invalid(of_sample=True):
                    if not image.is_file():
                        raise DataError(
                            f"no such file, which {path.name} annotates",
                            where=str(image),
                            hint=missing_hint(image),
                            kind="missing",
                        )
                outlines = tuple(
                    Outline(values[shape.label], np.array(shape.points), shape.closed)
                    for shape in _ordered(shapes, values, options.paint_order)
                )
                records.append(Record(image, Drawing(str(path), outlines, fill, options.line_width), name))
        return Split(tuple(records), {**dict(enumerate(names)), UNLABELLED: None})


def _files(options: SegmentationOptions) -> dict[str, Path]:
    """The file of each split: the recipe's or, where that is the usual one and not there, one of another usual name."""
    root = Path(options.root)
    files = {}
    for split, given in (("train", options.train_polygons), ("val", options.val_polygons)):
        usual = split_list(root, given, split, "polygons_{}.json")
        via = split_list(root, f"{split}/{_VIA}", split, f"{{}}/{_VIA}")
        standard = given == f"polygons_{split}.json" and not (root / usual).is_file()
        files[split] = root / (via if standard and (root / via).is_file() else usual)
    return files


def _image_folder(options: SegmentationOptions, split: str, file: Path) -> Path:
    """The folder of a split's images: of its own below `images`, that itself, or where the annotations are."""
    images = Path(options.root) / options.images
    own = find_split(images, split, accept=Path.is_dir)
    if own:
        return images / own
    return images if images.is_dir() else file.parent


def _ordered(shapes: tuple[Shape, ...], values: dict[str, int], order: str) -> list[Shape]:
    if order == "area":
        return sorted(shapes, key=lambda shape: -abs(_area(shape)))
    if order == "class":
        return sorted(shapes, key=lambda shape: values[shape.label])
    return list(shapes)


def _area(shape: Shape) -> float:
    """Of the polygon in square pixels, by the shoelace formula; its sign tells the direction. A line has none."""
    if not shape.closed:
        return 0.0
    x, y = np.array(shape.points).T
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2
