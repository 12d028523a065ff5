"""What the built-in tasks offer besides what every task has."""

from __future__ import annotations

import pytest

import umbel
from umbel.contract.capabilities import CAPABILITIES
from umbel.tasks.classification.options import ClassificationOptions
from umbel.tasks.classification.task import Classification
from umbel.tasks.detection.options import DetectionOptions
from umbel.tasks.detection.task import Detection
from umbel.tasks.segmentation.options import SegmentationOptions
from umbel.tasks.segmentation.task import Segmentation

RARE = {
    Classification: {umbel.Stratifies},
    Detection: {umbel.MakesCoco, umbel.SuggestsTta, umbel.Exports, umbel.Compares},
    Segmentation: {umbel.MakesMasks},
}
OPTIONS = {Classification: ClassificationOptions, Detection: DetectionOptions, Segmentation: SegmentationOptions}


@pytest.mark.parametrize("kind", RARE)
def test_capabilities(kind):
    task = kind("t", umbel.TaskConfig(kind="k", input_size=(64, 64)), OPTIONS[kind](root="absent"))
    common = set(CAPABILITIES) - set.union(*RARE.values())
    assert {one for one in CAPABILITIES if isinstance(task, one)} == common | RARE[kind]
