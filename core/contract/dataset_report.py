"""What is found wrong with data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from torch.utils.data import Dataset

from umbel.contract.errors import UmbelError
from umbel.contract.types import Sample

SEVERITIES = ("error", "warning", "note")

_AGAIN = "fetch or copy the file again"

REMEDIES = {  # of faults whose error says nothing better
    "annotation": "correct or remove the entry",
    "class-list": "give all splits the same classes",
    "defect": "report it to the author of the task",
    "duplicate-id": "keep one",
    "empty-split": "check its paths and lists",
    "encoding": "save it as UTF-8",
    "label": "correct the label, or the list of classes",
    "missing": "put it there, or take it off the list",
    "missing-pair": "add the mate, or take it off the list",
    "no-file": "put a file there",
    "unknown-image": "add the image, or remove its labels",
    "unreadable": _AGAIN,
    "unusable": "correct it, or take it off the list",
}


@dataclass(frozen=True)
class Finding:
    """One fault of one file.

    Args:
        kind: one word for counting and filtering, such as "truncated".
        file: the file at fault; a recipe key where no single file is.
        message: what is wrong with it.
        remedy: what to do.
        severity: "error" stops training or spoils scores, "warning" is read but hardly meant, "note" is harmless.
        task: task name; filled in by umbel.
        split: "train" or "val"; filled in by umbel.
        sample: id of the sample, where it is not the file; filled in by umbel.
    """

    kind: str
    file: str
    message: str
    remedy: str = ""
    severity: str = "error"
    task: str = ""
    split: str = ""
    sample: str = ""

    @classmethod
    def of(cls, error: UmbelError, severity: str = "error") -> Finding:
        """The finding that an error of a reader tells."""
        kind = error.kind or "unusable"
        return cls(kind, error.where, error.message, error.hint or REMEDIES.get(kind, _AGAIN), severity)


@dataclass(frozen=True)
class SampleReport:
    """What a task says of one sample.

    Args:
        id: of the sample.
        findings: all its faults, in the label and between label and image; umbel itself looks closely at every image
            file that was read for it.
        classes: names of the classes that occur in it, to compare the splits by; empty where a task has none.
    """

    id: str
    findings: Sequence[Finding] = field(default_factory=tuple)
    classes: frozenset[str] = frozenset()


Cell = str | int | float


@dataclass(frozen=True)
class Statistic:
    """One table about the data of a split.

    Args:
        title: what it counts, in a few words.
        columns: names of the columns.
        rows: one value a column; a float is a share or a mean.
        findings: sentences about what deserves a look before training; empty where all is well.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    findings: tuple[str, ...] = ()


def read_sample(dataset: Dataset[Sample], index: int) -> SampleReport:
    """The report of a task that has nothing more to say than whether a sample can be read."""
    try:
        return SampleReport(dataset[index].id)
    except UmbelError as error:
        return SampleReport(str(index), (Finding.of(error),))


HOLDOUT = 0.2  # of the images of a folder that has no validation split


@dataclass(frozen=True)
class DetectedDataset:
    """The data set that a task kind finds in a folder.

    Args:
        layout: name of the layout it detected.
        longest: the longer side of the network input that suits a first training, in pixels.
        batch_size: images a step.
        weight: factor on the loss beside other tasks.
        options: for the recipe, `root` and what differs from the defaults.
        holdout: share of the images to validate on, where the folder has no validation split; else 0.
    """

    layout: str
    longest: int
    batch_size: int
    weight: float
    options: dict[str, Any]
    holdout: float = 0.0
