"""The plain layout: one folder of images a class."""

from __future__ import annotations

import os
from pathlib import Path

from umbel import DataError, find_split, find_val_or_test, is_hidden, list_images, say_test_validates, skip_invalid
from umbel.tasks.classification.formats.records import Record
from umbel.tasks.classification.options import ClassificationOptions

OTHER_TASKS = {  # folders of theirs, no classes
    "images", "JPEGImages", "masks", "labels", "Annotations", "annotations", "data", "img", "ann", "img_dir", "ann_dir",
}  # fmt: skip


class Folders:
    """root/{train,val}/CLASS/*, or by other usual names of the splits; images in subfolders of a class are its too.

    A class may have no validation image. One that only validation has must be named by `class_names`, or left out.
    """

    looks_for = "a folder of training or validation images (train, val, valid ...) with one folder a class"

    def matches(self, options: ClassificationOptions) -> bool:
        return any(set(class_folders(split_folder(options, split))) - OTHER_TASKS for split in ("train", "val"))

    def class_names(self, options: ClassificationOptions) -> list[str]:
        folder = split_folder(options, "train")
        _check_folder(folder)
        names = class_folders(folder)
        if not names:
            raise DataError("holds no class folders", where=str(folder), hint="put the images in one folder a class")
        return sorted({*names, *self._only_val(options, names)})

    def has_val(self, options: ClassificationOptions) -> bool:
        return split_folder(options, "val").exists()

    def read(self, options: ClassificationOptions, split: str) -> list[Record]:
        folder = split_folder(options, split)
        _check_folder(folder)
        if split == "val":
            say_test_validates(folder.name if options.val == "val" else "", Path(options.root))
            self._refuse_unknown(options, folder)
        found = set(class_folders(folder))
        records = []
        for label, name in enumerate(self.class_names(options)):
            images = list_images(folder / name, nested=True) if name in found else []
            with skip_invalid("empty-class"):
                if not images and split == "train" and name in found and options.class_map.get(name, name) == name:
                    raise DataError(
                        "no image in this class folder",
                        where=str(folder / name),
                        hint=f"add some, or leave the class out: class_map: {{{name}: null}}",
                    )
            records += [Record(image, label, image.relative_to(folder).as_posix()) for image in images]
        if not records:
            raise DataError("holds no image in any class folder", where=str(folder), kind="empty-split")
        return records

    def _only_val(self, options: ClassificationOptions, train: list[str]) -> list[str]:
        """Classes that only the validation split has."""
        folder = split_folder(options, "val")
        if options.train in (".", ""):  # any folder beside may be a class
            return []
        return [name for name in class_folders(folder) if name not in train and list_images(folder / name, nested=True)]

    def _refuse_unknown(self, options: ClassificationOptions, folder: Path) -> None:
        train = class_folders(split_folder(options, "train"))
        named = {*options.class_map, *options.class_names}
        unknown = [name for name in self._only_val(options, train) if name not in named]
        with skip_invalid("class-list"):
            if unknown:
                raise DataError(
                    f"has images of {', '.join(unknown)}, of which there is no training image",
                    where=str(folder),
                    hint=f"{options.train}/ has {', '.join(train)}; leave it out by class_map: {{{unknown[0]}: null}}",
                )


def split_folder(options: ClassificationOptions, split: str) -> Path:
    """The folder of a split, whether or not it is there: the recipe's or, for want of that, of another usual name.

    A test split validates where there is no other and its folders are called like those of training.
    """
    root = Path(options.root)
    name = {"train": options.train, "val": options.val}[split]
    if name != split or class_folders(root / name):
        return root / name
    if split == "train":
        return root / (find_split(root, split, accept=_has_classes) or name)
    train = set(class_folders(split_folder(options, "train")))
    found = find_val_or_test(root, accept=_has_classes, labelled=lambda path: set(class_folders(path)) <= train)
    return root / (found or name)


def class_folders(folder: Path) -> list[str]:
    """Names of the folders in a folder, sorted, without hidden ones; none if it does not exist."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if not is_hidden(entry.name) and _is_dir(entry))


def _is_dir(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _has_classes(folder: Path) -> bool:
    return bool(set(class_folders(folder)) - OTHER_TASKS)


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise DataError(
            "no such folder", kind="missing", where=str(folder), hint="it holds one folder of images a class"
        )
