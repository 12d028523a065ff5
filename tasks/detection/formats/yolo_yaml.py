"""The description of a YOLO data set: names of classes and where the splits are, or a bare list of names."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from omegaconf import DictConfig, OmegaConf

from umbel import DataError, read_class_names, read_text, resolve_under
from umbel.tasks.detection.formats.entries import read_small_file, refuse_twice

MAX_BYTES = 2**20

_DOLLAR = "\ue000"  # stands for it while omegaconf reads: a character of Unicode's private use


@dataclass(frozen=True)
class YoloSet:
    """A description as read.

    Args:
        names: classes by index.
        places: for "train", "val" and "test", where given, folders of images or files that list images.
        base: the folder that lists are relative to.
    """

    names: tuple[str, ...]
    places: dict[str, tuple[Path, ...]]
    base: Path


def read_description(path: Path) -> YoloSet:
    """A data.yaml, or a text file with one class name a line; see `read_data_yaml`."""
    if path.suffix.lower() in (".yaml", ".yml"):
        return read_data_yaml(path)
    if not path.is_file():
        hint = "write one class name a line, in the order of the numbers in the labels"
        raise DataError("no such file", kind="missing", where=str(path), hint=hint)
    names = tuple(read_class_names(path))
    if not names:
        raise DataError("names no class", where=str(path))
    refuse_twice(names, "class", path)
    return YoloSet(names, {}, path.parent)


def read_data_yaml(path: Path) -> YoloSet:
    """Class names and splits. Everything is looked up below the folder of the file.

    `path` counts where it is a folder below; elsewhere is where the author had the data. Leading "../" of a
    split, as some exports write, are passed over.

    Raises:
        DataError: the file is no mapping, more than 1 MiB, or lacks names; a split leads out of the folder or is not
            there.
    """
    read_small_file(path, MAX_BYTES)  # bounded, and there
    try:
        text = io.StringIO(read_text(path).replace("${", _DOLLAR + "{"))  # no name is an interpolation
        tree = OmegaConf.load(text)  # plain types only, no repeated keys, few aliases
        content = _with_dollars(OmegaConf.to_container(tree)) if isinstance(tree, DictConfig) else None
    except Exception as error:  # the YAML library raises many kinds
        raise DataError(f"is not valid YAML: {' '.join(str(error).split())[:200]}", where=str(path)) from None
    if not isinstance(content, dict):
        raise DataError("holds no mapping with names, train and val", where=str(path))
    names = _names(content, path)
    base = _base(content.get("path"), path)
    splits = {split: content[key] for split, key in _keys(content).items()}
    places = {split: tuple(_place(entry, split, base, path) for entry in _listed(splits[split])) for split in splits}
    tests = _existing(content.get("test"), base, path)
    return YoloSet(names, {**places, "test": tests} if tests else places, base)


def _keys(content: dict[Any, Any]) -> dict[str, str]:
    """The key of each split, where it has a value."""
    keys = {"train": ("train", "training"), "val": ("val", "valid", "validation")}
    found = {split: next((key for key in names if content.get(key) is not None), None) for split, names in keys.items()}
    return {split: key for split, key in found.items() if key is not None}


def _existing(entries: Any, base: Path, path: Path) -> tuple[Path, ...]:
    """The places of a split that nobody may need, as far as they are there."""
    try:
        return tuple(_place(entry, "test", base, path) for entry in _listed(entries)) if entries else ()
    except DataError:
        return ()


def _with_dollars(value: Any) -> Any:
    if isinstance(value, dict):
        return {_with_dollars(key): _with_dollars(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_dollars(item) for item in value]
    return value.replace(_DOLLAR, "$") if isinstance(value, str) else value


def _names(content: dict[Any, Any], path: Path) -> tuple[str, ...]:
    names = content.get("names")
    if isinstance(names, dict):
        if sorted(names, key=str) != sorted(range(len(names)), key=str):
            raise DataError(f"names has the keys {str(list(names))[:120]}; expected 0, 1, 2, ...", where=str(path))
        names = [names[index] for index in range(len(names))]
    if not isinstance(names, list) or not names:
        raise DataError("has no names: a list, or a mapping from 0, 1, 2, ... to the classes", where=str(path))
    for name in names:
        if isinstance(name, bool) or not isinstance(name, (str, int)):
            raise DataError(f"names holds {str(name)[:80]!r}, which is not text; quote it", where=str(path))
    if content.get("nc", len(names)) != len(names):
        raise DataError(f"nc is {str(content['nc'])[:80]}, but there are {len(names)} names", where=str(path))
    refuse_twice(map(str, names), "class", path)
    return tuple(map(str, names))


def _base(stated: Any, path: Path) -> Path:
    parts = Path(stated).parts if isinstance(stated, str) else ()  # none of ".", which is where the file is
    if parts and not Path(stated).is_absolute() and ".." not in parts:
        folder = resolve_under(path.parent, stated, source=str(path))
        if folder.is_dir():
            return folder
    return path.parent


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else [value]


def _place(entry: Any, split: str, base: Path, path: Path) -> Path:
    parts = PurePosixPath(entry).parts if isinstance(entry, str) else ()
    while parts and parts[0] == "..":
        parts = parts[1:]
    place = resolve_under(base, str(PurePosixPath(*parts)) if parts else "", source=f"{path}: {split}")
    if not place.exists():
        raise DataError(
            f"{split} is {entry!r}, but {place} does not exist",
            where=str(path),
            hint="put it there, or remove the line: `holdout` divides what trains"
            if split == "val"
            else "put it there",
        )
    return place
