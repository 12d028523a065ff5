"""Images to submit predictions for, and what a submission calls them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from torch.utils.data import Dataset

from umbel import (
    IMAGE_SUFFIXES,
    DataError,
    HoldoutSubset,
    Sample,
    list_images,
    read_image,
    read_json,
    read_lines,
    resolve_under,
)
from umbel.tasks.detection.dataset import DetectionDataset
from umbel_challenge.submission import ImageId

FOLDERS = {"seg": "seg/images", "cls": "cls", "dec": "dec"}


@dataclass(frozen=True)
class ImageSet:
    """Images and their ids.

    Args:
        data: the images.
        ids: what detections call each of them.
    """

    data: Dataset[Sample]
    ids: Sequence[ImageId]


class Files(Dataset[Sample]):
    """Image files without labels; a sample's id is the file's name.

    Raises:
        DataError: two files have one name.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = list(paths)
        known: dict[str, Path] = {}
        for path in self.paths:
            if known.setdefault(image_key(path.name), path) != path:
                raise DataError(
                    f"is called like {known[image_key(path.name)]}",
                    where=str(path),
                    hint="a submission names images by file name only",
                )

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Sample:
        path = self.paths[index]
        image = read_image(path)
        return Sample(image, None, path.name, (image.shape[0], image.shape[1]))


def image_key(name: str) -> str:
    """An image's name without its suffix: predictions for a.jpg may be called a.png."""
    suffix = PurePosixPath(name).suffix
    return name.removesuffix(suffix) if suffix.lower() in IMAGE_SUFFIXES else name


def of_dataset(data: Dataset[Sample]) -> ImageSet:
    """A split of a task: detections take the ids of the annotations, or where there are none 1, 2, 3, ... in order."""
    length = len(data)  # type: ignore[arg-type]
    stored = _stored_ids(data)
    return ImageSet(data, [number for number in stored if number is not None] if _whole(stored) else _counted(length))


def _stored_ids(data: Dataset[Sample]) -> list[ImageId | None]:
    if isinstance(data, HoldoutSubset):  # what `holdout` makes of a data set
        whole = _stored_ids(data.dataset)
        return [whole[index] for index in data.indices] if whole else []
    return [record.image_id for record in data.records] if isinstance(data, DetectionDataset) else []


def of_paths(paths: Sequence[Path]) -> ImageSet:
    """Image files, and those in folders, in the order given; ids are 1, 2, 3, ..."""
    files = [file for path in paths for file in (list_images(path, nested=True) if path.is_dir() else [path])]
    return ImageSet(Files(files), _counted(len(files)))


def of_layout(root: Path, section: str, split: str) -> ImageSet:
    """A section's images of the challenge's layout, such as track1_test_data with the split "test".

    Detections take the ids of dec/SPLIT.json, or 1, 2, 3, ... in the order of dec/SPLIT.txt, or else of the names.
    """
    folder = root / FOLDERS[section] / split
    annotations, listing = folder.with_suffix(".json"), folder.with_suffix(".txt")
    if section == "dec" and annotations.is_file():
        ids = _ids_of(annotations)
        paths = [resolve_under(folder, name, source=str(annotations)) for name in ids]
        return ImageSet(Files(paths), list(ids.values()))
    if section == "dec" and listing.is_file():
        return of_paths([resolve_under(folder, name, source=str(listing)) for name in read_lines(listing)])
    return of_paths([folder] if folder.is_dir() else list_images(folder))


def _ids_of(annotations: Path) -> dict[str, ImageId]:
    content = read_json(annotations)
    images = content.get("images") if isinstance(content, dict) else None
    try:
        return {str(entry["file_name"]): entry["id"] for entry in images}  # type: ignore[union-attr]
    except (TypeError, KeyError):
        raise DataError("has no list of images with file_name and id", where=str(annotations)) from None


def _whole(ids: Sequence[object]) -> bool:
    return bool(ids) and None not in ids


def _counted(length: int) -> list[ImageId]:
    return list(range(1, length + 1))
