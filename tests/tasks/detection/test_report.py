"""The report's AP equals that of the metric, which is COCO's own; confusion counts by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from umbel import BarFigure, CurveFigure, MatrixFigure, Sample
from umbel.tasks.detection.metric.metric import DetectionMetric
from umbel.tasks.detection.metric.precision_recall import average_precision, precision_recall
from umbel.tasks.detection.prediction import BoxTarget, Detections
from umbel.tasks.detection.report import DetectionReporter

SIZE = (100, 120)


class Drawer:
    """Stands for the task: draws nothing."""

    def draw(self, image: np.ndarray, shown: object) -> np.ndarray:
        return image


def random_image(rng: np.random.Generator, classes: int) -> tuple[Detections, BoxTarget]:
    """Objects, some of them crowds, and detections near some of them."""
    count = int(rng.integers(0, 7))
    corners = rng.uniform(0, 70, (count, 2))
    boxes = np.concatenate((corners, corners + rng.uniform(8, 30, (count, 2))), axis=1).astype(np.float32)
    labels = rng.integers(0, classes, count)
    target = BoxTarget(boxes, labels, rng.random(count) < 0.2)
    copies = rng.integers(0, 3, count)
    found = np.repeat(boxes, copies, axis=0) + rng.normal(0, 3, (int(copies.sum()), 4)).astype(np.float32)
    found[:, 2:] = np.maximum(found[:, 2:], found[:, :2] + 1)  # COCO leaves inverted boxes out
    noise = rng.uniform(0, 50, (3, 2))
    found = np.concatenate((found, np.concatenate((noise, noise + 20), axis=1))).astype(np.float32)
    guessed = np.concatenate((np.repeat(labels, copies), rng.integers(0, classes, 3)))
    scores = rng.permutation(len(found)) / 100 + rng.uniform(0, 0.009)
    order = np.argsort(-scores)
    return (
        Detections(
            torch.from_numpy(found[order]),
            torch.from_numpy(scores[order]).float(),
            torch.from_numpy(guessed[order]),
            SIZE,
        ),
        target,
    )


@pytest.mark.parametrize("seed", range(4))
def test_mean_ap_is_that_of_coco(seed: int) -> None:
    rng = np.random.default_rng(seed)
    reporter, metric = DetectionReporter(Drawer(), ["a", "b", "c"]), DetectionMetric()  # type: ignore[arg-type]
    for index in range(30):
        prediction, target = random_image(rng, 3)
        reporter.add(Sample(np.zeros((*SIZE, 3), np.uint8), target, str(index), SIZE), prediction)
        metric.update([prediction], [target])
    bars = reporter.figures()[0]
    assert isinstance(bars, BarFigure)
    known = [value for value in bars.values if value is not None]
    assert np.mean(known) == pytest.approx(float(metric.compute()["map50"]), abs=1e-5)


def test_confusion_counts_pairs_misses_and_inventions() -> None:
    boxes = np.array([[0, 0, 10, 10], [20, 20, 40, 40], [60, 60, 80, 80]], np.float32)
    target = BoxTarget(boxes, np.array([0, 1, 1]), np.zeros(3, bool))
    found = np.array([[0, 0, 10, 10], [21, 20, 40, 40], [90, 0, 99, 9]], np.float32)
    prediction = Detections(torch.from_numpy(found), torch.tensor([0.9, 0.8, 0.7]), torch.tensor([0, 0, 1]), SIZE)
    reporter = DetectionReporter(Drawer(), ["a", "b"])  # type: ignore[arg-type]
    reporter.add(Sample(np.zeros((*SIZE, 3), np.uint8), target, "x", SIZE), prediction)
    matrix = next(figure for figure in reporter.figures() if isinstance(figure, MatrixFigure))
    assert matrix.counts == [[1, 0, 0], [1, 0, 1], [0, 1, 0]]  # a right; one b taken for a, one missed; one invented b


def test_precision_recall_of_a_known_ranking() -> None:
    curve = precision_recall([0.9, 0.8, 0.7, 0.6], [True, False, True, False], 4)
    assert curve[:26].tolist() == [1.0] * 26
    assert curve[26:51] == pytest.approx([2 / 3] * 25)
    assert curve[51:].tolist() == [0.0] * 50
    assert average_precision(precision_recall([], [], 4)) == 0
    assert average_precision(precision_recall([0.5], [False], 0)) == 0


def test_nothing_at_all_still_reports() -> None:
    empty = BoxTarget(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(0, bool))
    none = Detections(torch.zeros((0, 4)), torch.zeros(0), torch.zeros(0, dtype=torch.int64), SIZE)
    reporter = DetectionReporter(Drawer(), [f"c{i}" for i in range(20)])  # type: ignore[arg-type]
    reporter.add(Sample(np.zeros((*SIZE, 3), np.uint8), empty, "x", SIZE), none)
    figures = reporter.figures()
    assert next(figure for figure in figures if isinstance(figure, CurveFigure)).lines == []
