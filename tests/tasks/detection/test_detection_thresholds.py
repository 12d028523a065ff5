"""The thresholds of mAP are those of pycocotools to the bit: a recall of 3 / 10 must not fall beside 0.3."""

from __future__ import annotations

import pytest
import torch

from umbel.tasks.detection.metric import DetectionMetric
from umbel.tasks.detection.targets import BoxTarget, Detections


def test_a_recall_on_a_threshold_counts():
    boxes = torch.tensor([[20.0 * n, 0.0, 20.0 * n + 10, 10.0] for n in range(10)])
    truth = BoxTarget(
        boxes.numpy(), torch.zeros(10, dtype=torch.int64).numpy(), torch.zeros(10, dtype=torch.bool).numpy()
    )
    found = boxes[:3]
    metric = DetectionMetric()
    metric.update(
        [Detections(found, torch.tensor([0.9, 0.8, 0.7]), torch.zeros(3, dtype=torch.int64), (10, 200))], [truth]
    )
    assert float(metric.compute()["map50"]) == pytest.approx(31 / 101, abs=1e-7)  # recalls 0, 0.01, .. 0.30
