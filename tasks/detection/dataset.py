"""The map-style data set of a split."""

from __future__ import annotations

import logging

from torch.utils.data import Dataset

from umbel import DataError, Sample, Size, read_image
from umbel.tasks.detection.cleaning import clean_boxes
from umbel.tasks.detection.records import Annotations, Record, Source
from umbel.tasks.detection.targets import BoxTarget

logger = logging.getLogger(__name__)


class DetectionDataset(Dataset[Sample]):
    """Images as stored with their checked boxes.

    Args:
        annotations: what a reader gave.
        source: where from, for errors.
        bad_boxes: "error" or "drop", see `clean_boxes`.

    Attributes:
        dropped: boxes dropped when the annotations were checked.

    Raises:
        DataError: an image is missing or a box is bad; on access, an image cannot be read or is not of the stated size.
    """

    def __init__(self, annotations: Annotations, source: Source, bad_boxes: str) -> None:
        self.records = annotations.records
        self.source = str(source.annotations)
        self.bad_boxes = bad_boxes
        self.dropped = 0
        self._targets: list[BoxTarget | None] = [self._check(record) for record in self.records]
        if self.dropped:
            logger.warning("%s: %d boxes dropped: bad, or thinner than a pixel", self.source, self.dropped)

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Sample:
        record = self.records[index]
        image = read_image(record.path)
        size = (image.shape[0], image.shape[1])
        if record.size not in (None, size):
            raise DataError(f"is {_text(size)} pixels; {self.source} says {_text(record.size)}", where=str(record.path))
        target = self._targets[index]
        if target is None:
            target, _ = clean_boxes(record, size, self.bad_boxes, self.source)
        return Sample(image, target, record.id, size)

    def _check(self, record: Record) -> BoxTarget | None:
        """The cleaned boxes; None where the image's size is not known before it is decoded."""
        if not record.path.is_file():
            raise DataError(f"image {record.id!r} does not exist", where=self.source, hint=f"looked for {record.path}")
        if record.size is None:
            return None
        target, dropped = clean_boxes(record, record.size, self.bad_boxes, self.source)
        self.dropped += dropped
        return target


def _text(size: Size | None) -> str:
    return f"{size[1]} x {size[0]}" if size else "nothing"
