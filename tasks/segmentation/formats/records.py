"""What a reader of segmentation data gives: images, where their labels come from, and what the labels mean."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from umbel import DataError, Size, find_alike, list_images, read_label_map, skip_invalid


class Labels(Protocol):
    """Where the label map of one image comes from."""

    @property
    def where(self) -> str:
        """The file, for errors."""

    def read(self, size: Size) -> np.ndarray:
        """(H, W) uint8 or int32 label values as stored, given the size of the image; DataError if that fails."""

    def values(self) -> np.ndarray:
        """(V,) the label values in it, told without the image; DataError if that fails."""

    def content(self) -> Any:
        """What they are made of, but for the files of `files`: what `umbel.Source` takes for a label."""

    def files(self) -> tuple[Path, ...]:
        """The files of their own."""


@dataclass(frozen=True)
class Mask:
    """A label map in an image file."""

    path: Path

    @property
    def where(self) -> str:
        return str(self.path)

    def content(self) -> None:
        return None

    def files(self) -> tuple[Path, ...]:
        return (self.path,)

    def read(self, size: Size) -> np.ndarray:
        labels = read_label_map(self.path)
        if labels.shape != size:
            raise DataError(
                f"is {labels.shape[1]} x {labels.shape[0]} pixels, but its image is {size[1]} x {size[0]}",
                where=self.where,
                hint="take the mask of this image; one of the two may be turned",
                kind="size-mismatch",
            )
        return labels

    def values(self) -> np.ndarray:
        return np.unique(read_label_map(self.path))


@dataclass(frozen=True)
class Record:
    """One labelled image.

    Args:
        image: the image file.
        labels: its label map.
        id: unique within the split.
    """

    image: Path
    labels: Labels
    id: str


@dataclass(frozen=True)
class Split:
    """A split as stored.

    Args:
        records: the images.
        values: the class of every label value that may occur; None means unlabelled.
        recognised: `values` were detected in the masks.
        hint: what to do about a value that is not among them.
    """

    records: tuple[Record, ...]
    values: dict[int, str | None]
    recognised: bool = False
    hint: str = ""


def pair_files(
    images: Path, masks: Path, image_ending: str = "", mask_ending: str = "", prefix: str = ""
) -> list[Record]:
    """Images with the masks of the same name, sorted by it.

    Args:
        images: folder of images, `<name><image_ending>.*`; files with another ending are passed over.
        masks: folder of masks, `<name><mask_ending>.*`.
        image_ending: what follows the name in the stems of the images.
        mask_ending: what follows it in the stems of the masks.
        prefix: put before the names to make the ids.

    Raises:
        DataError: a folder is missing or empty, a file has no mate, or two have one name; names them.
    """
    pictures, labels = files_by_name(images, image_ending), files_by_name(masks, mask_ending)
    if not pictures:
        raise DataError(f"holds no image <name>{image_ending}.*", where=str(images))
    for name in sorted(pictures.keys() ^ labels.keys()):
        mate, folder, ending = (
            (pictures[name], masks, mask_ending) if name in pictures else (labels[name], images, image_ending)
        )
        with skip_invalid("missing-pair"):
            raise DataError(
                f"holds no {name}{ending}.*, the mate of {mate}",
                where=str(folder),
                hint=find_alike(name, labels if name in pictures else pictures),
            )
    return [Record(path, Mask(labels[name]), prefix + name) for name, path in pictures.items() if name in labels]


def files_by_name(folder: Path, ending: str = "") -> dict[str, Path]:
    """Image files whose stem has this ending, by the stem without it, after the subfolder where they are in one.

    Raises:
        DataError: two share a name.
    """
    found: dict[str, Path] = {}
    for path in list_images(folder, nested=True):
        if not path.stem.endswith(ending):
            continue
        name = path.relative_to(folder).with_name(path.stem.removesuffix(ending) or path.stem).as_posix()
        with skip_invalid("duplicate-stem"):
            if name in found:
                raise DataError(
                    f"several files of stem {path.stem!r}: {found[name].name}, {path.name}",
                    where=str(folder),
                    hint="keep one",
                )
            found[name] = path
    return found
