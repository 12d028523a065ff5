"""Classes of a task, and keeping all splits to the same ones."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from umbel import DataError, skip_invalid
from umbel.tasks.detection.formats.records import Annotations
from umbel.tasks.detection.prediction import ANY_CLASS


@dataclass(frozen=True)
class Categories:
    """Class names in the order of the head's outputs, and the id of each in annotation and result files."""

    names: tuple[str, ...]
    ids: tuple[int, ...]

    @classmethod
    def of(cls, annotations: Annotations) -> Categories:
        """The classes of a split; where its format has no ids they are 1..K."""
        names = annotations.class_names
        return cls(names, annotations.category_ids or tuple(range(1, len(names) + 1)))

    def reordered(self, names: tuple[str, ...]) -> Categories:
        """These names with the ids known here; names unknown here get the lowest free ids from 1."""
        known = dict(zip(self.names, self.ids, strict=True))
        free = iter(i for i in range(1, len(names) + len(known) + 1) if i not in known.values())
        return Categories(names, tuple(known[name] if name in known else next(free) for name in names))


def with_class_order(annotations: Annotations, wanted: Categories) -> Annotations:
    """Annotations with class indices in the order of `wanted`.

    Args:
        annotations: a split as read.
        wanted: the classes of the task.

    A split need not know every class of the task, and may know others, of which it has no box.

    Raises:
        DataError: boxes are of a class that is not the task's, or ids differ; names the differences.
    """
    here = dict.fromkeys(annotations.class_names, 0)
    if annotations.category_ids is not None:
        here = dict(zip(annotations.class_names, annotations.category_ids, strict=True))
    known = dict(zip(wanted.names, wanted.ids, strict=True))
    used = {int(index) for record in annotations.records for index in set(record.classes_N.tolist())}
    unknown = [name for index, name in enumerate(annotations.class_names) if name not in known and index in used]
    moved = [
        f"{name} is {here[name]}, not {known[name]}"
        for name in here
        if annotations.category_ids is not None and known.get(name, here[name]) != here[name]
    ]
    problems = {"not of the task": unknown, "other ids": moved}
    if unknown or moved:
        listed = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in problems.items() if names)
        with skip_invalid("class-list"):
            raise DataError(
                f"categories differ from those of the task: {listed}",
                where=annotations.source,
                hint=f"the task has {', '.join(f'{name} ({number})' for name, number in known.items())}"
                + (f"; class_map: {{{unknown[0]}: null}} leaves boxes out" if unknown else ""),
            )
    if annotations.class_names == wanted.names:
        return annotations
    order = [wanted.names.index(name) if name in known else ANY_CLASS for name in annotations.class_names]
    index = np.array([*order, ANY_CLASS], dtype=np.int64)  # ANY_CLASS is the last index and stays what it is
    records = tuple(replace(record, classes_N=index[record.classes_N]) for record in annotations.records)
    return replace(annotations, records=records, class_names=wanted.names, category_ids=wanted.ids)
