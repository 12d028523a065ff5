"""The map-style data set of a split."""

from __future__ import annotations

import logging

from torch.utils.data import Dataset

from umbel import DataError, Sample, Size, missing_hint, read_image, skip_invalid
from umbel.tasks.detection.formats.cleaning import clean_boxes, find_bad_boxes
from umbel.tasks.detection.formats.records import Annotations, Record
from umbel.tasks.detection.prediction import BoxTarget

logger = logging.getLogger(__name__)


class DetectionDataset(Dataset[Sample]):
    """Images as stored with their checked boxes.

    Args:
        annotations: what a reader gave.
        bad_boxes: "error" or "drop", see `find_bad_boxes`.

    Attributes:
        records: the images, in order.
        dropped: boxes dropped when the annotations were checked; more may go once an image of unstated size is decoded.

    Raises:
        DataError: an image is missing or a box is bad; on access, an image cannot be read or is not of the stated size.
    """

    def __init__(self, annotations: Annotations, bad_boxes: str) -> None:
        self.records = annotations.records
        self.bad_boxes = bad_boxes
        self.dropped = 0
        self._targets: list[BoxTarget | None] = [self._check(record) for record in self.records]
        if self.dropped:
            logger.warning("%s: %d boxes dropped: bad, or thinner than a pixel", annotations.source, self.dropped)

    def __len__(self) -> int:
        return len(self.records)

    def labels(self, index: int) -> tuple[BoxTarget, Size]:
        """Boxes and image size of a sample; the image is decoded only where the annotations do not state its size."""
        target, size = self._targets[index], self.records[index].size
        if target is not None and size is not None:
            return target, size
        sample = self[index]
        return sample.target, sample.size

    def __getitem__(self, index: int) -> Sample:
        record = self.records[index]
        image = read_image(record.path)
        size = (image.shape[0], image.shape[1])
        check_size(record, size)
        target = self._targets[index]
        if target is None:
            target, _ = clean_boxes(record, size, self.bad_boxes)
        return Sample(image, target, record.id, size)

    def _check(self, record: Record) -> BoxTarget | None:
        """The cleaned boxes; None where the image's size is not known before it is decoded."""
        with skip_invalid(of_sample=True):
            if not record.path.is_file():
                raise DataError(
                    f"image {record.id!r} does not exist",
                    where=record.source,
                    hint=f"looked for {record.path}; {missing_hint(record.path)}",
                )
            if record.size is None:
                self.dropped += int(find_bad_boxes(record, None, self.bad_boxes).sum())
                return None
            target, dropped = clean_boxes(record, record.size, self.bad_boxes)
            self.dropped += dropped
            return target
        return None


def check_size(record: Record, size: Size) -> None:
    """DataError if the image has another size than its annotation says."""
    if record.size not in (None, size):
        raise DataError(
            f"is {_text(size)} pixels; {record.source} says {_text(record.size)}",
            where=str(record.path),
            hint="take the image that was annotated; one of the two may be turned",
            kind="size-mismatch",
        )


def _text(size: Size | None) -> str:
    return f"{size[1]} x {size[0]}" if size else "nothing"
