"""From stored label values to class ids."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from umbel import ClassMap, DataError

_VALUES = 256  # label maps are uint8


class LabelTable:
    """Renumbers label maps; dropped classes and unlabelled pixels become `ignore_index`.

    Args:
        values: the stored class of every label value that may occur; None means unlabelled.
        class_map: where the stored classes, in the order of `values`, go.
        ignore_index: the one result that is not a class.
    """

    def __init__(self, values: Mapping[int, str | None], class_map: ClassMap, ignore_index: int) -> None:
        self.values = dict(values)
        self._allowed = np.zeros(_VALUES, bool)
        self._allowed[list(values)] = True
        targets = iter(class_map.targets)
        self._ids = np.full(_VALUES, ignore_index, np.uint8)
        for value, name in values.items():
            target = next(targets) if name is not None else None
            if target is not None:
                self._ids[value] = target
        self._unchanged = bool((self._ids[self._allowed] == np.flatnonzero(self._allowed)).all())

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
        """An error for every value of (H, W) integers that means nothing."""
        allowed = {value for value in range(_VALUES) if self._allowed[value]}
        return [self._error(int(value), where) for value in np.unique(labels) if int(value) not in allowed]

    def _error(self, value: int, where: str) -> DataError:
        known = [f"{number} {name or 'unlabelled'}" for number, name in sorted(self.values.items())]
        return DataError(
            f"has label {value}, which is no class", where=where, hint=f"labels are {', '.join(known)}", kind="label"
        )
