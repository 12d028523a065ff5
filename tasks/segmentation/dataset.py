"""Reading labelled images."""

from __future__ import annotations

from collections.abc import Sequence

from torch.utils.data import Dataset

from umbel import Sample, read_image
from umbel.tasks.segmentation.formats.label_table import LabelTable
from umbel.tasks.segmentation.formats.records import Record


class SegmentationDataset(Dataset[Sample]):
    """Images with label maps; the target of a sample is its (H, W) uint8 class ids.

    Args:
        records: the files.
        table: class ids of the stored label values.
    """

    def __init__(self, records: Sequence[Record], table: LabelTable) -> None:
        self.records = tuple(records)
        self.table = table

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Sample:
        """Sample `index`; DataError when a file cannot be read, sizes differ or a label is no class."""
        record = self.records[index]
        image = read_image(record.image)
        size = (image.shape[0], image.shape[1])
        return Sample(image, self.table(record.labels.read(size), record.labels.where), record.id, size)
