"""What a report shows of classification: accuracy of every class, confusion, calibration, best and worst images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from umbel import BarFigure, BestAndWorst, CurveFigure, Draws, Figure, Line, MatrixFigure, Reporter, Sample
from umbel.tasks.classification.prediction import ClassScores

BINS = 10


class ClassificationReporter(Reporter):
    """Counts classes and ranks images by the probability of their true class.

    Args:
        task: draws examples.
        class_names: names by class id.
    """

    def __init__(self, task: Draws, class_names: Sequence[str]) -> None:
        self.task = task
        self.names = list(class_names)
        self.confusion = np.zeros((len(self.names), len(self.names)), np.int64)
        self.confidence: list[tuple[float, bool]] = []
        self.ranking = BestAndWorst()

    def add(self, sample: Sample, prediction: ClassScores) -> None:
        truth, label = int(sample.target), prediction.label
        self.confusion[truth, label] += 1
        self.confidence.append((float(prediction.probabilities[label]), truth == label))
        self.ranking.add(float(prediction.probabilities[truth]), sample, prediction)

    def figures(self) -> list[Figure]:
        images = self.confusion.sum(1)
        hits = self.confusion.diagonal()
        accuracy = [float(hit) / count if count else None for hit, count in zip(hits, images.tolist(), strict=True)]
        return [
            BarFigure("Accuracy of every class", self.names, accuracy, [f"{count:,} images" for count in images]),
            MatrixFigure(
                "Confusion",
                self.names,
                self.names,
                self.confusion.astype(float).tolist(),
                "Rows are the labels, columns the predictions; percent of each row.",
            ),
            self._calibration(),
            *self.ranking.figures(self.task.draw, "probability of the truth"),
        ]

    def _calibration(self) -> CurveFigure:
        """Accuracy over stated confidence, in equal bins; on the diagonal a probability means what it says."""
        stated, right = (np.array(column, float) for column in zip(*self.confidence, strict=True))
        bins = np.minimum((stated * BINS).astype(int), BINS - 1)
        used = [b for b in range(BINS) if (bins == b).any()]
        x = [float(stated[bins == b].mean()) for b in used]
        y = [float(right[bins == b].mean()) for b in used]
        error = sum(abs(x[i] - y[i]) * float((bins == b).mean()) for i, b in enumerate(used))
        return CurveFigure(
            "Calibration",
            "stated confidence",
            "accuracy",
            lines=[Line("model", x, y), Line("ideal", [0.0, 1.0], [0.0, 1.0])],
            y_range=[0.0, 1.0],
            note=f"Expected calibration error {error:.3f} over {BINS} bins.",
        )
