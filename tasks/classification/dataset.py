"""Reading classified images."""

from __future__ import annotations

from collections.abc import Sequence

from torch.utils.data import Dataset

from umbel import Sample, read_image
from umbel.tasks.classification.formats.records import Record


class ClassificationDataset(Dataset[Sample]):
    """Images with a class; the target of a sample is its class id, an int."""

    def __init__(self, records: Sequence[Record]) -> None:
        self.records = tuple(records)

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Sample:
        """Sample `index`; DataError when the file cannot be read."""
        record = self.records[index]
        image = read_image(record.image)
        return Sample(image, record.label, record.id, (image.shape[0], image.shape[1]))
