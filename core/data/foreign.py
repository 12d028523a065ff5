"""What a folder holds that no reader recognises: counts, and the tools whose exports are known but not read."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

from umbel.io.listing import is_hidden

_LOOKED_AT = 2000  # entries of a folder

_PEEK_BYTES = 4096

_SHOWN = 6  # kinds of files, folders

_SIGNS = (  # what stands near the start of a file of this ending, and whose it is
    (".json", (b'"shapes"', b'"flags"'), "labelme's files, one an image: labelme2coco makes COCO of them"),
    (".json", (b'"shapes"', b'"imagePath"'), "labelme's files, one an image: labelme2coco makes COCO of them"),
    (".json", (b'"_via_img_metadata"',), "a VIA project: name it polygons_train.json, beside a folder images"),
    (".json", (b'"objects"', b'"classTitle"'), "Supervisely's files: export COCO or masks there"),
    (".json", (b'"data"', b'"annotations"', b'"project"'), "a Label Studio project: export COCO or YOLO there"),
    (".xml", (b"<annotations>",), "CVAT's own XML: export COCO, YOLO or Pascal VOC there"),
    (
        ".txt",
        (b"color_rgb",),
        "CVAT's masks of colours: make masks of class ids, 0, 1, 2 ...",
    ),
    (".tfrecord", (), "TFRecord: export COCO, YOLO or folders in its place"),
    (".parquet", (), "a Parquet table: export folders of images in its place"),
    (".zip", (), "an archive: unpack it"),
    (".tar", (), "an archive: unpack it"),
    (".gz", (), "an archive: unpack it"),
)


def describe_folder(folder: Path) -> str:
    """Folders and files by suffix, and whose export it looks like, such as "folders a, b; 12 .jpg"."""
    folders, files = _entries(folder)
    counts = Counter(path.suffix.lower() or "without suffix" for path in files)
    said = [f"folders {_listed([path.name for path in folders])}"] if folders else []
    said += [f"{count} {suffix}" for suffix, count in counts.most_common(_SHOWN)]
    described = "; ".join(said) or "nothing"
    looks = _whose(files) or next((found for inner in folders[:_SHOWN] if (found := _whose(_entries(inner)[1]))), "")
    if looks:
        return f"{described}; it looks like {looks}"
    if len(folders) == 1 and not any(path.suffix.lower() not in (".txt", ".md") for path in files):
        return f"{described}; the data may be one folder down: {folders[0]}"
    return described


def _entries(folder: Path) -> tuple[list[Path], list[Path]]:
    """Folders and files of a folder, sorted; none if it cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            found = [entry for _, entry in zip(range(_LOOKED_AT), entries, strict=False)]
    except OSError:
        return [], []
    found = sorted((entry for entry in found if not is_hidden(entry.name)), key=lambda entry: entry.name)
    paths = [folder / entry.name for entry in found]
    inside = [path for path, entry in zip(paths, found, strict=True) if entry.is_dir()]
    return inside, [path for path, entry in zip(paths, found, strict=True) if entry.is_file()]


def _whose(files: list[Path]) -> str:
    for ending, marks, name in _SIGNS:
        for path in [path for path in files if path.suffix.lower() == ending][:2]:
            if all(mark in _start(path) for mark in marks):
                return name
    return ""


def _start(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_PEEK_BYTES)
    except OSError:
        return b""


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
