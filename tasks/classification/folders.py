"""The plain layout: one folder of images a class."""

from __future__ import annotations

from pathlib import Path

from umbel import DataError, list_images, tolerate
from umbel.tasks.classification.options import ClassificationOptions
from umbel.tasks.classification.records import Record

OTHER_TASKS = {"images", "JPEGImages", "masks", "labels", "Annotations", "annotations"}  # folders of theirs, no classes


class Folders:
    """root/{train,val}/CLASS/*, the same classes in both."""

    looks_for = "a folder of training or validation images with one folder a class"

    def matches(self, options: ClassificationOptions) -> bool:
        root = Path(options.root)
        return any(set(class_folders(root / split)) - OTHER_TASKS for split in (options.train, options.val))

    def class_names(self, options: ClassificationOptions) -> list[str]:
        folder = Path(options.root) / options.train
        if not folder.is_dir():
            raise DataError(
                "no such folder", kind="missing", where=str(folder), hint="it holds one folder of images a class"
            )
        names = class_folders(folder)
        if not names:
            raise DataError("holds no class folders", where=str(folder), hint="put the images in one folder a class")
        return names

    def read(self, options: ClassificationOptions, split: str) -> list[Record]:
        root = Path(options.root)
        folder = root / {"train": options.train, "val": options.val}[split]
        if not folder.is_dir():
            raise DataError(
                "no such folder", kind="missing", where=str(folder), hint="it holds one folder of images a class"
            )
        names = self.class_names(options)
        found, wanted = set(class_folders(folder)), set(names)
        if found != wanted:
            parts = [("lacks", wanted - found), ("has the unknown", found - wanted)]
            said = " and ".join(f"{verb} {', '.join(sorted(names))}" for verb, names in parts if names)
            with tolerate("class-list"):
                raise DataError(
                    f"class folders differ from those of {options.train}/: {said}",
                    where=str(folder),
                    hint="every split needs one folder for every class",
                )
        records = []
        for label, name in enumerate(names):
            if name not in found:
                continue
            images = list_images(folder / name, nested=True)
            with tolerate("empty-class"):
                if not images:
                    raise DataError(
                        "no image in this class folder", where=str(folder / name), hint="add some, or drop the class"
                    )
            records += [Record(image, label, image.relative_to(folder).as_posix()) for image in images]
        return records


def class_folders(folder: Path) -> list[str]:
    """Names of the folders in a folder, sorted, without hidden ones; none if it does not exist."""
    if not folder.is_dir():
        return []
    return sorted(child.name for child in folder.iterdir() if child.is_dir() and not child.name.startswith("."))
