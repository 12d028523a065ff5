"""Reading labelled images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch.utils.data import Dataset

from umbel import DataError, Sample, read_image, read_label_map
from umbel.tasks.segmentation.formats import Record


class SegmentationDataset(Dataset[Sample]):
    """Images with label maps; the target of a sample is its (H, W) uint8 labels.

    Args:
        records: the files.
        class_names: names by class id.
        ignore_index: the one label that is not a class.
    """

    def __init__(self, records: Sequence[Record], class_names: Sequence[str], ignore_index: int) -> None:
        self.records = tuple(records)
        self.class_names = tuple(class_names)
        self.ignore_index = ignore_index
        self._allowed = np.zeros(256, bool)
        self._allowed[: len(class_names)] = True
        self._allowed[ignore_index] = True

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Sample:
        """Sample `index`; DataError when a file cannot be read, sizes differ or a label is no class."""
        record = self.records[index]
        image = read_image(record.image)
        labels = self._checked(read_label_map(record.mask), record.mask)
        if labels.shape != image.shape[:2]:
            raise DataError(
                f"is {labels.shape[1]} x {labels.shape[0]} pixels, but {record.image.name} is "
                f"{image.shape[1]} x {image.shape[0]}",
                where=str(record.mask),
            )
        return Sample(image, labels, record.id, (image.shape[0], image.shape[1]))

    def _checked(self, labels: np.ndarray, path: Path) -> np.ndarray:
        inside = (labels >= 0) & (labels < 256) if labels.dtype != np.uint8 else None
        if inside is not None and not inside.all():
            raise self._label_error(int(labels[~inside][0]), path)
        labels = labels.astype(np.uint8, copy=False)
        allowed = self._allowed[labels]
        if not allowed.all():
            raise self._label_error(int(labels[~allowed][0]), path)
        return labels

    def _label_error(self, value: int, path: Path) -> DataError:
        count = len(self.class_names)
        return DataError(
            f"has label {value}, which is neither a class (0..{count - 1}) nor ignore_index ({self.ignore_index})",
            where=str(path),
            hint=f"the {count} classes are {', '.join(self.class_names)}",
        )
