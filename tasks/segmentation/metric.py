"""Mean intersection over union, pooled over the data set: as PaddleSeg and as mmsegmentation 1.2.2 mean it."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric

from umbel import DataError
from umbel.tasks.segmentation.prediction import LabelMap

_EXACT = 2**24  # histograms count in single precision, which is exact up to here


class MeanIoU(Metric):
    """IoU from one confusion matrix over all pixels of all images.

    `compute()` gives `miou`, where a class that occurs neither in labels nor predictions counts 0 (PaddleSeg, the
    challenge), `miou_present`, where it is left out (mmseg), and `pixel_accuracy`. Without a labelled pixel all are 0.

    Args:
        class_names: names by class id.
        ignore_index: label that is left out of everything.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    confusion: Tensor  # (K, K) int64 pixel counts, rows true, columns predicted

    def __init__(self, class_names: Sequence[str], ignore_index: int) -> None:
        super().__init__()
        self.class_names = tuple(class_names)
        self.ignore_index = ignore_index
        classes = len(self.class_names)
        self.add_state("confusion", torch.zeros(classes, classes, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, predictions: Sequence[LabelMap], targets: Sequence[np.ndarray | Tensor]) -> None:
        """Count the pixels of images, given predicted and true (H, W) label maps in original coordinates.

        Raises:
            DataError: when a prediction and its target differ in size.
        """
        for prediction, target in zip(predictions, targets, strict=True):
            truth = torch.as_tensor(target).cpu()
            if prediction.labels.shape != truth.shape:
                raise DataError(f"prediction is {tuple(prediction.labels.shape)}, labels are {tuple(truth.shape)}")
            self.confusion += self._count(prediction.labels.cpu(), truth).to(self.confusion.device)

    def compute(self) -> dict[str, Tensor]:
        """Scalars by name, each in 0..1."""
        return self.scores()

    def scores(self) -> dict[str, Tensor]:
        """What `compute` gives, of the images this process has seen; no other process need ask for it."""
        iou = self._iou()
        correct, labelled = self.confusion.diagonal().sum(), self.confusion.sum()
        return {
            "miou": iou.nan_to_num(0.0).mean(),
            "miou_present": iou.nanmean().nan_to_num(0.0),
            "pixel_accuracy": correct.double() / labelled.clamp(min=1),
        }

    def per_class(self) -> dict[str, float | None]:
        """IoU by class name, of the images this process has seen; None for a class without a pixel."""
        return {
            name: None if value != value else value  # NaN differs from itself
            for name, value in zip(self.class_names, self._iou().tolist(), strict=True)
        }

    def _iou(self) -> Tensor:
        """(K,) float64, NaN where the union is empty."""
        hits = self.confusion.diagonal()
        union = self.confusion.sum(0) + self.confusion.sum(1) - hits
        return hits.double() / union  # 0 / 0 is NaN

    def _count(self, predicted: Tensor, truth: Tensor) -> Tensor:
        """(K, K) pixel counts, by the histogram of pairs: no pass over 64-bit indices."""
        classes = len(self.class_names)
        kind = np.uint8 if predicted.dtype == truth.dtype == torch.uint8 else np.uint16
        pair = [np.ascontiguousarray(labels.numpy(), kind) for labels in (truth, predicted)]
        counts = np.zeros((classes, classes), np.int64)
        rows = max(1, _EXACT // max(1, truth.shape[1]))
        for top in range(0, truth.shape[0], rows):
            part = [labels[top : top + rows] for labels in pair]
            counts += cv2.calcHist(part, [0, 1], None, [classes] * 2, [0, classes] * 2).astype(np.int64)
        if 0 <= self.ignore_index < classes:
            counts[self.ignore_index] = 0
        return torch.from_numpy(counts)
