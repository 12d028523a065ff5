"""From stored label values to class ids."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from umbel import ClassMap, DataError

_VALUES = 256  # label maps are uint8

_LISTED = 8  # values without a meaning, of one mask


class LabelTable:
    """Renumbers label maps; dropped classes and unlabelled pixels become `ignore_index`.

    Args:
        values: the stored class of every label value that may occur; None means unlabelled.
        class_map: where the stored classes, in the order of `values`, go.
        ignore_index: the one result that is not a class.
        hint: what to do about other values.
    """

    def __init__(
        self, values: Mapping[int, str | None], class_map: ClassMap, ignore_index: int, hint: str = ""
    ) -> None:
        self.values = dict(values)
        self.hint = hint
        self._allowed = np.zeros(_VALUES, bool)
        self._allowed[list(values)] = True
        targets = iter(class_map.targets)
        self._ids = np.full(_VALUES, ignore_index, np.uint8)
        for value, name in values.items():
            target = next(targets) if name is not None else None
            if target is not None:
                self._ids[value] = target
        self._unchanged = bool((self._ids[self._allowed] == np.flatnonzero(self._allowed)).all())

    @property
    def meaning(self) -> str:
        """What every label value becomes, as text."""
        return f"{sorted(self.values.items())} {self._ids.tolist()}"

    def __call__(self, labels: np.ndarray, where: str) -> np.ndarray:
        """(H, W) integers to (H, W) uint8 class ids; DataError for a value that means nothing."""
        if labels.dtype != np.uint8:
            outside = (labels < 0) | (labels >= _VALUES)
            if outside.any():
                raise self._error(int(labels[outside][0]), where)
            labels = labels.astype(np.uint8)
        allowed = self._allowed[labels]
        if not allowed.all():
            raise self._error(int(labels[~allowed][0]), where)
        return labels if self._unchanged else self._ids[labels]

    def strangers(self, labels: np.ndarray, where: str) -> list[DataError]:
        """An error for every value of (H, W) integers that means nothing; for many, of smoothed edges, a single one."""
        allowed = {value for value in range(_VALUES) if self._allowed[value]}
        found = [int(value) for value in np.unique(labels) if int(value) not in allowed]
        if len(found) <= _LISTED:
            return [self._error(value, where) for value in found]
        listed = ", ".join(map(str, found[:_LISTED]))
        return [
            DataError(
                f"has {len(found)} values that are no class, such as {listed}",
                where=where,
                hint="it is no label map, or its edges were smoothed: save labels without resizing or compression",
                kind="label",
            )
        ]

    def _error(self, value: int, where: str) -> DataError:
        known = [f"{number} {name or 'unlabelled'}" for number, name in sorted(self.values.items())]
        hint = "; ".join(filter(None, (f"labels are {', '.join(known)}", self.hint)))
        return DataError(f"has label {value}, which is no class", where=where, hint=hint, kind="label")
