"""Layouts with the 19 classes of Cityscapes: BDD100K in both releases, the challenge, Cityscapes.

Every one pairs images and masks by name, never by position. See docs/data-formats.md.
"""

from __future__ import annotations

from pathlib import Path

from umbel import DataError
from umbel.tasks.segmentation.formats.class_sets import CITYSCAPES, LABEL_IDS, TRAIN_IDS
from umbel.tasks.segmentation.formats.records import Record, Split, pair_files
from umbel.tasks.segmentation.options import SegmentationOptions

SPLITS = ("train", "val")

OLD_ENDING = "_train_id"  # of the masks in BDD100K's first release


class Bdd100k:
    """images/10k/SPLIT with labels/sem_seg/masks/SPLIT, or the first release's [seg/]images/SPLIT and labels/SPLIT."""

    looks_for = "images/10k with labels/sem_seg/masks, or [seg/]images with [seg/]labels/{train,val}/*_train_id.png"

    def matches(self, options: SegmentationOptions) -> bool:
        root, base = Path(options.root), _inside(options.root, "seg")
        masks = (path for split in SPLITS for path in (base / "labels" / split).glob(f"*{OLD_ENDING}.png"))
        return _is_new(root) or ((base / "images").is_dir() and next(masks, None) is not None)

    def class_names(self, options: SegmentationOptions) -> list[str]:
        return list(CITYSCAPES)

    def has_val(self, options: SegmentationOptions) -> bool:
        return True  # as published

    def read(self, options: SegmentationOptions, split: str) -> Split:
        root = Path(options.root)
        if _is_new(root):
            records = pair_files(root / "images/10k" / split, root / "labels/sem_seg/masks" / split)
        else:
            base = _inside(options.root, "seg")
            records = pair_files(base / "images" / split, base / "labels" / split, mask_ending=OLD_ENDING)
        return Split(tuple(records), TRAIN_IDS)


class Challenge:
    """The challenge's [seg/]images/SPLIT and [seg/]label/SPLIT, masks of the same stems."""

    looks_for = "[seg/]images/{train,val} with [seg/]label/{train,val}"

    def matches(self, options: SegmentationOptions) -> bool:
        base = _inside(options.root, "seg")
        return any((base / "images" / split).is_dir() and (base / "label" / split).is_dir() for split in SPLITS)

    def class_names(self, options: SegmentationOptions) -> list[str]:
        return list(CITYSCAPES)

    def has_val(self, options: SegmentationOptions) -> bool:
        return True  # as published

    def read(self, options: SegmentationOptions, split: str) -> Split:
        base = _inside(options.root, "seg")
        return Split(tuple(pair_files(base / "images" / split, base / "label" / split)), TRAIN_IDS)


class Cityscapes:
    """leftImg8bit/SPLIT/CITY, gtFine/SPLIT/CITY with *_labelTrainIds.png or, where a split has none, *_labelIds.png."""

    looks_for = "leftImg8bit/{train,val} with gtFine/{train,val}"

    def matches(self, options: SegmentationOptions) -> bool:
        root = Path(options.root)
        return any((root / "leftImg8bit" / split).is_dir() and (root / "gtFine" / split).is_dir() for split in SPLITS)

    def class_names(self, options: SegmentationOptions) -> list[str]:
        return list(CITYSCAPES)

    def has_val(self, options: SegmentationOptions) -> bool:
        return True  # as published

    def read(self, options: SegmentationOptions, split: str) -> Split:
        images, masks = (Path(options.root) / name / split for name in ("leftImg8bit", "gtFine"))
        cities = sorted({city.name for city in (*_folders(images), *_folders(masks))})
        if not cities:
            raise DataError("holds no city folders", where=str(images))
        raw = next(masks.glob("*/*_gtFine_labelTrainIds.png"), None) is None
        ending = "_gtFine_labelIds" if raw else "_gtFine_labelTrainIds"
        records: list[Record] = []
        for city in cities:
            records += pair_files(images / city, masks / city, "_leftImg8bit", ending, prefix=f"{city}/")
        return Split(tuple(records), LABEL_IDS if raw else TRAIN_IDS)


def _inside(root: str, folder: str) -> Path:
    """The data set's own folder, whether `root` is that or the one above."""
    inner = Path(root) / folder
    return inner if inner.is_dir() else Path(root)


def _is_new(root: Path) -> bool:
    return (root / "images/10k").is_dir() and (root / "labels/sem_seg/masks").is_dir()


def _folders(path: Path) -> list[Path]:
    if not path.is_dir():
        raise DataError("no such folder", kind="missing", where=str(path))
    return [child for child in path.iterdir() if child.is_dir() and not child.name.startswith(".")]
