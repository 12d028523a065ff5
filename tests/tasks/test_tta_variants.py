"""The rows that the built-in tasks suggest to `umbel tta`, and which of their options concern merging alone."""

from __future__ import annotations

from dataclasses import fields

import pytest

from umbel import TaskConfig, TtaConfig
from umbel.contract.defaults import tta_variants_of
from umbel.tasks.classification.options import ClassificationOptions
from umbel.tasks.classification.task import Classification
from umbel.tasks.detection.options import DetectionOptions
from umbel.tasks.detection.task import Detection
from umbel.tasks.segmentation.options import SegmentationOptions
from umbel.tasks.segmentation.task import Segmentation

PAIRS = [
    (Segmentation, SegmentationOptions),
    (Classification, ClassificationOptions),
    (Detection, DetectionOptions),
]


def rows_of(task_class, options_class, tta):
    config = TaskConfig(kind="k", input_size=(64, 64), tta=tta)
    return tta_variants_of(task_class("t", config, options_class(root="absent", class_names=["a", "b"])))


@pytest.mark.parametrize(("task_class", "options_class"), PAIRS[:2])
def test_rows_of_tables_4_and_5(task_class, options_class):
    rows = rows_of(task_class, options_class, TtaConfig(scales=[1.0, 1.2, 1.4], hflip=True))
    assert [row.name for row in rows] == ["Original", "MS", "MS+Flip"]


def test_rows_of_table_6():
    tta = TtaConfig(sizes=[[2048, 2048], [1568, 1568], [2240, 2240]], hflip=True)
    rows = rows_of(Detection, DetectionOptions, tta)
    assert [row.name for row in rows] == ["Original", "MS", "MS+Flip+NMS", "MS+Flip+WBF"]
    assert [row.options.get("merge") for row in rows[1:]] == ["nms", "nms", "wbf"]
    assert [row.tta.hflip for row in rows] == [False, False, True, True]
    assert rows[2].tta == rows[3].tta == tta
    assert [row.name for row in rows_of(Detection, DetectionOptions, TtaConfig(scales=[1.0, 2.0]))] == [
        "Original",
        "MS",
    ]


@pytest.mark.parametrize(("task_class", "options_class"), PAIRS)
def test_merge_options_exist(task_class, options_class):
    assert task_class.merge_options <= {field.name for field in fields(options_class)}


def test_options_that_decoding_reads_too_are_not_merge_options():
    assert not Detection.merge_options & {"nms_iou", "conf", "max_detections", "multi_label", "keep_ratio", "test_size"}
