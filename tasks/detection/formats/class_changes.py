"""Renaming, merging, dropping and ignoring the classes that annotations store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from umbel import map_classes
from umbel.tasks.detection.formats.records import Annotations, Record
from umbel.tasks.detection.prediction import ANY_CLASS

IGNORE = "ignore"  # as a new name in a class_map: detections there are neither right nor wrong


def changes_of(
    stored: Annotations, changes: Mapping[str, str | None], others: Iterable[Annotations]
) -> Mapping[str, str | None]:
    """The recipe's class changes without those of classes that only other splits store.

    Args:
        stored: a split as read.
        changes: stored name to new name.
        others: the other splits as read; not looked at where this one stores every class that is changed.
    """
    if changes.keys() <= set(stored.class_names):
        return changes
    elsewhere = {name for other in others for name in other.class_names}
    return {old: new for old, new in changes.items() if old in stored.class_names or old not in elsewhere}


def change_classes(annotations: Annotations, changes: Mapping[str, str | None], where: str) -> Annotations:
    """Annotations with the classes that result, in order of their first stored class, whose category id they keep.

    Args:
        annotations: a split as read; its own `class_map` holds where `changes` says nothing.
        changes: stored name to new name; None drops the boxes, IGNORE makes them crowd boxes of no class.
        where: the recipe key of the task's options, for errors.

    Raises:
        ConfigError: `changes` names a class that is not stored.
        DataError: no class is left.
    """
    merged = {**annotations.class_map, **changes}
    stored = annotations.class_names
    if not merged:
        if stored:
            map_classes(stored, {}, where=where)  # refuses names that cannot be told apart
        return annotations
    ignored = np.array([merged.get(name) == IGNORE for name in stored])
    mapped = map_classes(stored, {old: None if new == IGNORE else new for old, new in merged.items()}, where=where)
    kept = np.array([target is not None for target in mapped.targets])
    targets = np.array([ANY_CLASS if target is None else target for target in mapped.targets], dtype=np.int64)
    ids = annotations.category_ids
    return replace(
        annotations,
        records=tuple(_changed(record, targets, kept | ignored, ignored) for record in annotations.records),
        class_names=mapped.names,
        category_ids=ids and tuple(ids[mapped.targets.index(index)] for index in range(len(mapped.names))),
        class_map={},
    )


def _changed(record: Record, targets: np.ndarray, kept: np.ndarray, ignored: np.ndarray) -> Record:
    keep = kept[record.classes_N]
    stored = record.classes_N[keep]
    return replace(
        record,
        boxes_N4=record.boxes_N4[keep],
        classes_N=targets[stored],
        crowd_N=record.crowd_N[keep] | ignored[stored],
        box_ids=tuple(name for name, stays in zip(record.box_ids, keep.tolist(), strict=True) if stays),
    )
