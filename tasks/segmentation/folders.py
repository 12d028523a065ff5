"""The plain layout: a folder of images, one of masks, lists of stems and a list of class names."""

from __future__ import annotations

from pathlib import Path

from umbel import ConfigError, DataError, read_class_names, read_lines, tolerate
from umbel.tasks.segmentation.mask_values import HINT, mask_values
from umbel.tasks.segmentation.options import SegmentationOptions
from umbel.tasks.segmentation.records import Mask, Record, Split, files_by_name, pair_files


class Folders:
    """root/images/STEM.*, root/masks/STEM.*, root/{train,val}.txt with stems, root/classes.txt.

    Without a training list (`train_list: null`) all images are training data.
    """

    looks_for = "a folder of images and one of masks"

    def matches(self, options: SegmentationOptions) -> bool:
        root = Path(options.root)
        return (root / options.images).is_dir() and (root / options.masks).is_dir()

    def class_names(self, options: SegmentationOptions) -> list[str]:
        """The masks hold ids only: the recipe's names say what they mean, unless it maps the names of the file."""
        if options.class_names and not options.class_map:
            return list(options.class_names)
        path = Path(options.root) / "classes.txt"
        if not path.is_file() and options.label_values:
            return [name for name in options.label_values.values() if name is not None]
        if not path.is_file():
            hint = "class_map renames these" if options.class_map else "or set class_names"
            raise DataError(
                "no such file", kind="missing", where=str(path), hint=f"write one class name a line, {hint}"
            )
        names = read_class_names(path)
        if not names:
            raise DataError("names no class", where=str(path), hint="write one class name a line")
        return names

    def read(self, options: SegmentationOptions, split: str) -> Split:
        root = Path(options.root)
        name = {"train": options.train_list, "val": options.val_list}[split]
        records = _all(options) if name is None else _listed(options, root / name)
        names = self.class_names(options)
        if options.ignore_index < len(names):
            raise ConfigError(
                f"is {options.ignore_index}, the label of the class {names[options.ignore_index]!r}",
                where="ignore_index",
                hint="class_map leaves classes out",
            )
        values, recognised = mask_values(options, names)
        return Split(records, values, recognised, HINT)


def _all(options: SegmentationOptions) -> tuple[Record, ...]:
    root = Path(options.root)
    return tuple(pair_files(root / options.images, root / options.masks))


def _listed(options: SegmentationOptions, listing: Path) -> tuple[Record, ...]:
    images, masks = (Path(options.root) / name for name in (options.images, options.masks))
    image_files, mask_files = files_by_name(images), files_by_name(masks)
    records: dict[str, Record] = {}
    for stem in read_lines(listing):
        with tolerate("missing-pair"):
            if stem in records:
                raise DataError(f"lists {stem!r} twice", where=str(listing), kind="duplicate-id")
            for folder, files in ((images, image_files), (masks, mask_files)):
                if stem not in files:
                    raise DataError(f"no file of stem {stem!r}, which {listing.name} lists", where=str(folder))
            records[stem] = Record(image_files[stem], Mask(mask_files[stem]), stem)
    if not records:
        raise DataError("lists no images", where=str(listing), kind="empty-split")
    return tuple(records.values())
