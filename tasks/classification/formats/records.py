"""What a reader of classified images gives."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from umbel import DataError, missing_hint, resolve_under, skip_invalid


@dataclass(frozen=True)
class Record:
    """One labelled image.

    Args:
        image: the image file.
        label: index of its class among those that the data set stores.
        id: unique within the split.
    """

    image: Path
    label: int
    id: str


def listed_records(folder: Path, entries: Iterable[tuple[str, int]], listing: Path) -> list[Record]:
    """Records of a list of file names with classes.

    Args:
        folder: what the names are relative to.
        entries: file name and class index of each image.
        listing: the list, for errors.

    Raises:
        DataError: the list is empty, a name comes twice, leads out of the folder or names no file there.
    """
    if not folder.is_dir():
        raise DataError(
            "no such folder", kind="missing", where=str(folder), hint=f"it holds the images that {listing.name} lists"
        )
    records: dict[str, Record] = {}
    for name, label in entries:
        with skip_invalid():
            path = resolve_under(folder, name, source=str(listing))
            if name in records:
                raise DataError(f"lists {name!r} twice", where=str(listing), hint="keep one", kind="duplicate-id")
            with skip_invalid(of_sample=True):
                if not path.is_file():
                    raise DataError(
                        f"no such file, which {listing.name} lists",
                        where=str(path),
                        hint=missing_hint(path),
                        kind="missing",
                    )
            records[name] = Record(path, label, name)
    if not records:
        raise DataError("lists no images", where=str(listing), kind="empty-split")
    return list(records.values())
