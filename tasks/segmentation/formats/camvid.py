"""CamVid as SegNet's authors published it: lists of image and mask, with the paths of their machine."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from umbel import DataError, missing_hint, read_lines, resolve_under, say_test_validates, skip_invalid
from umbel.tasks.segmentation.formats.class_sets import CAMVID, CAMVID_IDS
from umbel.tasks.segmentation.formats.folders import split_list
from umbel.tasks.segmentation.formats.records import Mask, Record, Split
from umbel.tasks.segmentation.options import SegmentationOptions


class CamVid:
    """root/{train,val}.txt with lines "/SegNet/CamVid/train/NAME.png /SegNet/CamVid/trainannot/NAME.png".

    The last folder and the file name of each entry are looked up under root; label 11 is unlabelled.
    """

    looks_for = "train.txt or val.txt with two columns, and the folder trainannot or valannot"

    def matches(self, options: SegmentationOptions) -> bool:
        root = Path(options.root)
        annotated = any((root / name).is_dir() for name in ("trainannot", "valannot"))
        lists = [root / name for name in (options.train_list, options.val_list) if name and (root / name).is_file()]
        return annotated and any(len(line.split()) == 2 for path in lists for line in read_lines(path)[:1])

    def class_names(self, options: SegmentationOptions) -> list[str]:
        return list(CAMVID)

    def has_val(self, options: SegmentationOptions) -> bool:
        return (Path(options.root) / split_list(Path(options.root), options.val_list, "val", "{}.txt")).exists()

    def read(self, options: SegmentationOptions, split: str) -> Split:
        root = Path(options.root)
        name = {"train": options.train_list, "val": options.val_list}[split]
        if name is None:
            raise DataError(
                "camvid reads no data without a list", where="train_list", hint="name it, such as train.txt"
            )
        listing = root / split_list(root, name, split, "{}.txt")
        if split == "val":
            say_test_validates(listing.stem, root)
        records: dict[str, Record] = {}
        for line in read_lines(listing):
            with skip_invalid("annotation"):
                record = _record(root, line, listing)
                if record.id in records:
                    raise DataError(f"lists {record.id!r} twice", where=str(listing), kind="duplicate-id")
                records[record.id] = record
        if not records:
            raise DataError("lists no images", where=str(listing), kind="empty-split")
        return Split(tuple(records.values()), CAMVID_IDS)


def _record(root: Path, line: str, listing: Path) -> Record:
    columns = line.split()
    if len(columns) != 2:
        raise DataError(f"line {line!r} has not two columns: image and mask", where=str(listing))
    image, mask = (_local(root, column, listing) for column in columns)
    if image.stem != mask.stem:
        raise DataError(f"pairs {image.name} with {mask.name}", where=str(listing), kind="missing-pair")
    with skip_invalid(of_sample=True):
        for path in (image, mask):
            if not path.is_file():
                raise DataError(
                    f"no such file, which {listing.name} lists",
                    where=str(path),
                    hint=missing_hint(path),
                    kind="missing",
                )
    return Record(image, Mask(mask), image.stem)


def _local(root: Path, entry: str, listing: Path) -> Path:
    resolve_under(root, entry.lstrip("/"), source=str(listing))  # refuses ".." anywhere in it
    return resolve_under(root, "/".join(PurePosixPath(entry).parts[-2:]).lstrip("/"), source=str(listing))
