from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from umbel.tasks.detection.postprocess.nms import select_detections, suppress


def test_detections_equal_the_reference(golden):
    content = golden("yolo_nms.json")
    for name, case in content["cases"].items():
        kw = case["kw"]
        assert set(kw) <= {"conf_thres", "iou_thres", "multi_label", "max_det"}, name
        (found,) = select_detections(
            torch.tensor(content["pred"])[None],
            (100, 100),
            conf=kw["conf_thres"],
            iou=kw["iou_thres"],
            multi_label=kw.get("multi_label", False),
            limit=kw.get("max_det", 300),
        )
        rows = torch.cat((found.boxes_N4, found.scores_N[:, None], found.classes_N[:, None]), dim=1)
        assert found.scores_N.tolist() == pytest.approx([row[4] for row in case["out"]], rel=1e-5)
        assert in_order(rows.tolist()) == in_order(case["out"])


def in_order(rows):
    return sorted([round(value, 3) for value in row] for row in rows)


def naive_suppress(boxes, scores, classes, threshold):
    def iou(a, b):
        width = min(a[2], b[2]) - max(a[0], b[0])
        height = min(a[3], b[3]) - max(a[1], b[1])
        inter = max(width, 0) * max(height, 0)
        return inter / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inter)

    kept = []
    for i in sorted(range(len(boxes)), key=lambda i: -scores[i]):
        if all(classes[i] != classes[j] or iou(boxes[i], boxes[j]) <= threshold for j in kept):
            kept.append(i)
    return kept


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31 - 1), st.integers(0, 25), st.sampled_from([0.31, 0.52, 0.77]))
def test_suppression_equals_loops(seed, count, threshold):
    generator = torch.Generator().manual_seed(seed)
    low = torch.randint(0, 20, (count, 2), generator=generator).float()
    boxes = torch.cat((low, low + torch.randint(1, 20, (count, 2), generator=generator)), dim=1)
    scores = torch.randperm(count, generator=generator).float() / 100
    classes = torch.randint(0, 3, (count,), generator=generator)
    found = suppress(boxes, scores, classes, threshold)
    assert found.tolist() == naive_suppress(boxes.tolist(), scores.tolist(), classes.tolist(), threshold)


def test_classes_far_apart_cost_no_precision():
    """Boxes of the last of 500 classes whose IoU is just below the threshold both stay, at large coordinates."""
    boxes = torch.tensor([[2000.0, 2000.0, 2010.0, 2010.0], [2000.0, 2003.001, 2010.0, 2013.001]])  # IoU 0.5383
    classes = torch.tensor([499, 499])
    assert len(suppress(boxes, torch.tensor([0.9, 0.8]), classes, 0.5385)) == 2


def test_limit_and_broken_numbers():
    rows = torch.tensor([[10.0 * i, 5.0, 4.0, 4.0, 0.5 + i / 100, 1.0] for i in range(20)])
    rows[3, 0] = float("nan")
    rows[4, 4] = float("nan")
    (found,) = select_detections(rows[None], (10, 300), limit=7)
    assert len(found.scores_N) == 7
    assert found.scores_N.tolist() == sorted(found.scores_N.tolist(), reverse=True)
    (everything,) = select_detections(rows[None], (10, 300))
    assert len(everything.scores_N) == 18


def test_no_candidates_is_an_empty_result():
    (found,) = select_detections(torch.zeros((1, 5, 8)), (10, 10))
    assert found.boxes_N4.shape == (0, 4)
    assert found.classes_N.dtype == torch.int64


def test_images_of_a_batch_are_as_each_alone():
    generator = torch.Generator().manual_seed(0)
    batch = torch.rand((4, 40, 8), generator=generator) * torch.tensor([100.0, 100, 30, 30, 1, 1, 1, 1])
    batch[1, :, 4] = 0  # nothing in the second image
    together = select_detections(batch, (100, 100), conf=0.2)
    alone = [select_detections(one[None], (100, 100), conf=0.2)[0] for one in batch]
    assert [len(found.scores_N) for found in together][1] == 0
    assert all(len(found.scores_N) for found in (together[0], *together[2:]))
    for one, other in zip(together, alone, strict=True):
        assert torch.equal(one.boxes_N4, other.boxes_N4)
        assert torch.equal(one.scores_N, other.scores_N)
        assert torch.equal(one.classes_N, other.classes_N)
