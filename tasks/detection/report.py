"""What a report shows of detection: AP and precision-recall of every class, confusion, the best and worst images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from umbel import BarFigure, BestAndWorst, CurveFigure, Draws, Figure, Line, MatrixFigure, Reporter, Sample
from umbel.tasks.detection.metric.matching import best_pairs, match_class
from umbel.tasks.detection.metric.precision_recall import average_precision, precision_recall
from umbel.tasks.detection.prediction import ANY_CLASS, BoxTarget, Detections

CURVES = 7  # classes with a curve of their own, beside the mean

GRID = np.linspace(0, 1, 101)


class DetectionReporter(Reporter):
    """Matches the boxes of each image at IoU 0.5 as COCO does; ranks images by F1 at the score that is drawn.

    Args:
        task: draws examples.
        class_names: names by class index.
    """

    def __init__(self, task: Draws, class_names: Sequence[str]) -> None:
        self.task = task
        self.names = list(class_names)
        count = len(self.names)
        self.scores: list[list[float]] = [[] for _ in range(count)]
        self.hits: list[list[bool]] = [[] for _ in range(count)]
        self.objects = np.zeros(count, np.int64)
        self.confusion = np.zeros((count + 1, count + 1), np.int64)
        self.ranking = BestAndWorst()

    def add(self, sample: Sample, prediction: Detections) -> None:
        target: BoxTarget = sample.target
        boxes, scores = prediction.boxes_N4.numpy(), prediction.scores_N.numpy()
        classes = prediction.classes_N.numpy()
        for index in np.unique(np.concatenate((classes, target.classes_N[target.classes_N != ANY_CLASS]))).tolist():
            mine, theirs = classes == index, (target.classes_N == index) | (target.classes_N == ANY_CLASS)
            objects = target.select(theirs)
            found = match_class(boxes[mine], scores[mine], objects.boxes_N4, objects.crowd_N)
            self.scores[index] += found.scores
            self.hits[index] += found.hits
            self.objects[index] += int((~objects.crowd_N).sum())
        self._confuse(sample, prediction, target.select(~target.crowd_N), target.select(target.crowd_N))

    def _confuse(self, sample: Sample, prediction: Detections, objects: BoxTarget, crowds: BoxTarget) -> None:
        shown = prediction.select(prediction.scores_N >= prediction.drawn_from)
        classes, nothing = shown.classes_N.numpy(), len(self.names)
        pairs, inside = best_pairs(shown.boxes_N4.numpy(), objects.boxes_N4, crowds.boxes_N4)
        right = 0
        for mine, theirs in pairs:
            self.confusion[objects.classes_N[theirs], classes[mine]] += 1
            right += int(objects.classes_N[theirs] == classes[mine])
        taken, found = {mine for mine, _ in pairs} | inside, {theirs for _, theirs in pairs}
        for mine in set(range(len(classes))) - taken:
            self.confusion[nothing, classes[mine]] += 1
        for theirs in set(range(len(objects.classes_N))) - found:
            self.confusion[objects.classes_N[theirs], nothing] += 1
        counted = len(classes) - len(inside) + len(objects.classes_N)
        if counted:
            self.ranking.add(2 * right / counted, sample, prediction)

    def figures(self) -> list[Figure]:
        curves = [
            precision_recall(self.scores[index], self.hits[index], int(self.objects[index]))
            for index in range(len(self.names))
        ]
        values = [
            average_precision(curve) if count else None for curve, count in zip(curves, self.objects, strict=True)
        ]
        return [
            BarFigure("AP at IoU 0.5", self.names, values, [f"{count:,} objects" for count in self.objects]),
            self._curves(curves, values),
            MatrixFigure(
                "Confusion of boxes",
                [*self.names, "nothing"],
                [*self.names, "missed"],
                self.confusion.astype(float).tolist(),
                "Boxes of the scores that are drawn, matched at IoU 0.5 whatever their class; percent of each row.",
            ),
            *self.ranking.figures(self.task.draw, "F1"),
        ]

    def _curves(self, curves: Sequence[np.ndarray], values: Sequence[float | None]) -> CurveFigure:
        known = [index for index, value in enumerate(values) if value is not None]
        lines = []
        if known:
            lines.append(Line("mean", GRID.tolist(), np.mean([curves[index] for index in known], axis=0).tolist()))
        ranked = sorted(known, key=lambda index: values[index] or 0.0)
        if len(ranked) > CURVES:
            ranked = ranked[: CURVES // 2 + 1] + ranked[-(CURVES // 2) :]
        lines += [Line(self.names[index], GRID.tolist(), curves[index].tolist()) for index in sorted(ranked)]
        note = "" if len(known) <= CURVES else f"The {CURVES} classes with the lowest and highest AP."
        return CurveFigure(
            "Precision and recall at IoU 0.5", "recall", "precision", lines=lines, y_range=[0.0, 1.0], note=note
        )
