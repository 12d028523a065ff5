"""Starting from a folder of data: which kind of task reads it, how, and with what settings small data trains well."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from umbel.config.check import build_recipe
from umbel.config.literals import literal
from umbel.contract.capabilities import NamesSources, Warps
from umbel.contract.dataset_report import DetectedDataset
from umbel.contract.defaults import classes_of
from umbel.contract.errors import ConfigError, DataError
from umbel.contract.task import Task
from umbel.contract.types import Size, round_up
from umbel.data.datasets import dataset_length, open_split
from umbel.data.foreign import describe_folder
from umbel.data.join import image_files
from umbel.data.statistics import evenly_spaced
from umbel.io.names import as_written, missing_hint
from umbel.registry.make import detect
from umbel.registry.plugins import Plugins

MODEL = "tf_efficientnet_lite0"  # small, without squeeze-and-excite: fast where there is no GPU

STRIDE = 32  # what input sizes are multiples of

_LOOKED_AT = 20  # images whose sizes decide the input size


@dataclass(frozen=True)
class Start:
    """One task of a new recipe.

    Args:
        name: of the task.
        kind: as a recipe writes it.
        detected: layout and settings.
        counts: images of "train" and "val".
        classes: their names.
        input_size: height and width.
        image_size: height and width of the median image.
        files: the training images, where the task can share them with others.
    """

    name: str
    kind: str
    detected: DetectedDataset
    counts: dict[str, int]
    classes: tuple[str, ...]
    input_size: Size
    image_size: Size
    files: frozenset[Path] = frozenset()


def start_task(name: str, folder: Path, kind: str | None, plugins: Plugins) -> Start:
    """Detects a folder and read it once.

    Args:
        name: of the task; an empty one becomes the folder's.
        folder: of the data set.
        kind: the kind of task; None asks all that are installed.
        plugins: register the kinds.

    Raises:
        DataError: no kind recognises the folder, several do, or its data cannot be read.
        ConfigError: no such kind.
    """
    if not folder.is_dir():
        raise DataError("no such folder", where=as_written(folder), hint=missing_hint(folder))
    kinds = [plugins.find("task", kind, "--task").name] if kind else [o.name for o in plugins.registered("task")]
    fitting: dict[str, DetectedDataset] = {}
    for candidate in kinds:
        detected = detect(plugins.find("task", candidate, "--task"), folder)
        if detected is not None:
            fitting[candidate] = detected
    if len(fitting) > 1:
        listed = ", ".join(f"{found} ({detected.layout})" for found, detected in fitting.items())
        raise DataError(
            f"may be data of {listed}",
            where=str(folder),
            hint="write --task NAME=KIND:FOLDER for each",
        )
    if not fitting:
        raise DataError(
            f"is no data set that {' or '.join(kinds)} recognises; it holds {describe_folder(folder)}",
            where=str(folder),
            hint="docs/data-formats.md lists the layouts",
        )
    ((found, detected),) = fitting.items()
    return _read(name or task_name(folder), found, detected, plugins)


def task_name(folder: Path) -> str:
    """A task name from a folder's name."""
    name = re.sub(r"[^a-z0-9]+", "_", folder.resolve().name.lower()).strip("_")
    return name if name[:1].isalpha() else f"task_{name}".rstrip("_")


def parse_task(text: str, plugins: Plugins) -> tuple[str, str | None, Path]:
    """Name, kind and folder of "NAME=[KIND:]FOLDER" or a bare folder.

    Raises:
        ConfigError: it names no folder.
    """
    name, equals, rest = text.rpartition("=") if not Path(text).is_dir() else ("", "", text)
    before, colon, after = rest.partition(":")
    kind = before if colon and before in {registration.name for registration in plugins.registered("task")} else None
    path = after if kind else rest
    if not path or (equals and not name):
        raise ConfigError(f"'{text}' is not of the form NAME=FOLDER or NAME=KIND:FOLDER", where="--task")
    return name, kind, Path(path)


def entry(start: Start) -> dict[str, Any]:
    """The task as a recipe has it."""
    return {
        "kind": start.kind,
        "batch_size": max(1, min(start.detected.batch_size, start.counts["train"])),
        "input_size": list(start.input_size),
        **({"holdout": start.detected.holdout} if start.detected.holdout else {}),
        "weight": start.detected.weight,
        "options": start.detected.options,
    }


def _read(name: str, kind: str, detected: DetectedDataset, plugins: Plugins) -> Start:
    from omegaconf import OmegaConf

    from umbel.config.build import build_tasks

    trial = {"kind": kind, "batch_size": 2, "input_size": [STRIDE, STRIDE], "options": literal(detected.options)}
    trial["holdout"] = detected.holdout
    tree = OmegaConf.create({"tasks": {name: trial}, "backbone": {"options": {"model": MODEL}}})  # not built
    task = build_tasks(build_recipe(tree, plugins, name), plugins)[name]
    data = {split: open_split(task, split) for split in ("train", "val")}
    counts = {split: dataset_length(dataset) for split, dataset in data.items()}
    for split, count in counts.items():
        if not count:
            raise DataError(f"split '{split}' is empty", where=str(detected.options.get("root", name)))
    sizes = [data["train"][index].size for index in evenly_spaced(counts["train"], _LOOKED_AT)]
    median = _median(sizes)
    return Start(
        name=name,
        kind=kind,
        detected=detected,
        counts=counts,
        classes=tuple(classes_of(task)),
        input_size=_fit(median, detected.longest),
        image_size=median,
        files=frozenset(file for _, file in image_files(task, data["train"])) if _can_share(task) else frozenset(),
    )


def _can_share(task: Task[Any]) -> bool:
    return isinstance(task, Warps) and isinstance(task, NamesSources)


def _median(sizes: Sequence[Size]) -> Size:
    middle = len(sizes) // 2
    return (sorted(size[0] for size in sizes)[middle], sorted(size[1] for size in sizes)[middle])


def _fit(size: Size, longest: int) -> Size:
    """The size shrunk to a longer side of `longest` at most, in multiples of the stride."""
    scale = min(1.0, longest / max(size))
    height, width = (max(STRIDE, round(side * scale / STRIDE) * STRIDE) for side in size)
    return round_up((height, width), STRIDE)
