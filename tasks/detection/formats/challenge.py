"""The traffic-sign part of the Open-TransMind challenge: COCO files below the folder dec."""

from __future__ import annotations

from pathlib import Path

from umbel import DataError, read_lines, resolve_under, skip_invalid
from umbel.tasks.detection.formats.coco import read_coco
from umbel.tasks.detection.formats.entries import refuse_twice
from umbel.tasks.detection.formats.records import Annotations, make_record
from umbel.tasks.detection.options import DetectionOptions


class Challenge:
    """root/dec/{train,val}.json, images in root/dec/{train,val}; test images in root/dec/test, listed by dec/test.txt.

    Test images have no boxes; in result files their ids are 1, 2, 3, ... in the order of the list.
    """

    looks_for = "dec/train.json, dec/val.json or dec/test.txt"

    def matches(self, options: DetectionOptions) -> bool:
        return any((Path(options.root) / "dec" / name).is_file() for name in ("train.json", "val.json", "test.txt"))

    def splits(self, options: DetectionOptions) -> list[str]:
        folder = Path(options.root) / "dec"
        found = [split for split in ("train", "val") if self._annotations(options, split).exists()]
        return found + ["test"] * (folder / "test.txt").exists()

    def read(self, options: DetectionOptions, split: str) -> Annotations:
        images = Path(options.root) / (options.images(split) or f"dec/{split}")
        return _read_list(images) if split == "test" else read_coco(images, self._annotations(options, split))

    def _annotations(self, options: DetectionOptions, split: str) -> Path:
        return Path(options.root) / (options.annotations(split) or f"dec/{split}.json")


def _read_list(images: Path) -> Annotations:
    listing = images.with_suffix(".txt")
    names = read_lines(listing)
    if not names:
        raise DataError("lists no images", where=str(listing), kind="empty-split")
    refuse_twice(names, "image", listing)
    records = []
    for number, name in enumerate(names, start=1):
        with skip_invalid():
            file = resolve_under(images, name, source=str(listing))
            records.append(make_record(file, name, listing, [], image_id=number))
    return Annotations(tuple(records), (), None, str(listing))
