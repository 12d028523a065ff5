"""What a report shows of segmentation: per-class IoU, the confusion matrix, the best and worst images."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from umbel import BarFigure, BestAndWorst, Draws, Figure, MatrixFigure, Reporter, Sample
from umbel.tasks.segmentation.metric import MeanIoU
from umbel.tasks.segmentation.prediction import LabelMap


class SegmentationReporter(Reporter):
    """Adds up the confusion of all pixels and ranks images by their own mean IoU.

    Args:
        task: draws examples.
        class_names: names by class id.
        ignore_index: label that is left out.
    """

    def __init__(self, task: Draws, class_names: Sequence[str], ignore_index: int) -> None:
        self.task = task
        self.names = list(class_names)
        self.metric = MeanIoU(class_names, ignore_index)
        self.confusion = torch.zeros_like(self.metric.confusion)
        self.ranking = BestAndWorst()

    def add(self, sample: Sample, prediction: LabelMap) -> None:
        self.metric.reset()
        self.metric.update([prediction], [sample.target])
        self.confusion += self.metric.confusion
        if self.metric.confusion.any():  # an image without a labelled pixel is neither good nor bad
            self.ranking.add(float(self.metric.scores()["miou_present"]), sample, prediction)

    def figures(self) -> list[Figure]:
        self.metric.reset()
        self.metric.confusion += self.confusion
        pixels = self.confusion.sum(1).double()
        shares = (pixels / pixels.sum().clamp(min=1)).tolist()
        return [
            BarFigure(
                "Per-class IoU",
                self.names,
                list(self.metric.per_class().values()),
                [f"{share:.1%}" for share in shares],
                note="Behind it the class's share of the labelled pixels.",
            ),
            MatrixFigure(
                "Confusion of pixels",
                self.names,
                self.names,
                self.confusion.double().tolist(),
                "Rows are the labels, columns the predictions; percent of each row.",
            ),
            *self.ranking.figures(self.task.draw, "mean IoU"),
        ]
