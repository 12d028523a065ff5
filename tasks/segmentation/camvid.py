"""CamVid as SegNet's authors published it: lists of image and mask, with the paths of their machine."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from umbel import DataError, read_lines, resolve_under
from umbel.tasks.segmentation.class_sets import CAMVID, CAMVID_IDS
from umbel.tasks.segmentation.options import SegmentationOptions
from umbel.tasks.segmentation.records import Mask, Record, Split


class CamVid:
    """root/{train,val}.txt with lines "/SegNet/CamVid/train/NAME.png /SegNet/CamVid/trainannot/NAME.png".

    The last folder and the file name of each entry are looked up under root; label 11 is unlabelled.
    """

    looks_for = "train.txt or val.txt with two columns, and the folder trainannot or valannot"

    def matches(self, options: SegmentationOptions) -> bool:
        root = Path(options.root)
        annotated = any((root / name).is_dir() for name in ("trainannot", "valannot"))
        lists = [path for path in (root / options.train_list, root / options.val_list) if path.is_file()]
        return annotated and any(len(line.split()) == 2 for path in lists for line in read_lines(path)[:1])

    def class_names(self, options: SegmentationOptions) -> list[str]:
        return list(CAMVID)

    def read(self, options: SegmentationOptions, split: str) -> Split:
        root = Path(options.root)
        listing = root / {"train": options.train_list, "val": options.val_list}[split]
        records: dict[str, Record] = {}
        for line in read_lines(listing):
            columns = line.split()
            if len(columns) != 2:
                raise DataError(f"line {line!r} has not two columns: image and mask", where=str(listing))
            image, mask = (_local(root, column, listing) for column in columns)
            if image.stem != mask.stem:
                raise DataError(f"pairs {image.name} with {mask.name}", where=str(listing))
            if image.stem in records:
                raise DataError(f"lists {image.stem!r} twice", where=str(listing))
            for path in (image, mask):
                if not path.is_file():
                    raise DataError(f"no such file, which {listing.name} lists", where=str(path))
            records[image.stem] = Record(image, Mask(mask), image.stem)
        if not records:
            raise DataError("lists no images", where=str(listing))
        return Split(tuple(records.values()), CAMVID_IDS)


def _local(root: Path, entry: str, listing: Path) -> Path:
    resolve_under(root, entry.lstrip("/"), source=str(listing))  # refuses ".." anywhere in it
    return resolve_under(root, "/".join(PurePosixPath(entry).parts[-2:]).lstrip("/"), source=str(listing))
