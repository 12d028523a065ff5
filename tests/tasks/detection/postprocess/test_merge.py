from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from umbel import ConfigError, TtaConfig
from umbel.tasks.detection.options import CONF_TYPES
from umbel.tasks.detection.postprocess.merge import keep_best, merge_by_nms, merge_by_wbf
from umbel.tasks.detection.prediction import Detections


def views_of(case) -> list[Detections]:
    """Golden boxes are in 0..1: an image of one pixel. Float64 keeps overlaps at the threshold as they are."""
    return [
        Detections(
            torch.tensor(b, dtype=torch.float64).view(-1, 4), torch.tensor(s).double(), torch.tensor(k).long(), (1, 1)
        )
        for b, s, k in zip(case["boxes"], case["scores"], case["labels"], strict=True)
    ]


def tied(case) -> bool:
    scores = [score for view in case["scores"] for score in view]
    return len(set(scores)) < len(scores)


def in_order(boxes, scores, labels):
    rows = zip(torch.as_tensor(boxes).view(-1, 4).tolist(), list(scores), list(labels), strict=True)
    return sorted([round(s, 4), int(k), *(round(v, 4) for v in b)] for b, s, k in rows)


@pytest.mark.parametrize("backend", ["compiled", "ensemble_boxes"])
def test_fusion_and_nms_equal_the_reference(golden, backend):
    ran = set()
    for case_name, case in golden("wbf.json")["cases"].items():
        for name, run in case["runs"].items():
            kw = run["kw"]
            if "boxes" not in run:  # the reference refuses to run
                continue
            if name == "nms":
                found = merge_by_nms(views_of(case), kw["iou_thr"])
                if case_name in ("out_of_range", "zero_area"):
                    continue  # the reference repairs boxes; here restore() has clipped them before
            elif name.startswith("wbf") and "allows_overflow" not in kw:
                found = merge_by_wbf(
                    views_of(case),
                    iou=kw["iou_thr"],
                    skip=kw.get("skip_box_thr", 0.0),
                    conf_type=kw.get("conf_type", "avg"),
                    weights=kw.get("weights"),
                    backend=backend,
                )
            else:
                continue
            ran.add(name)
            columns = 2 if name == "nms" and tied(case) else 6  # which of two equal scores survives is open
            expected = torch.tensor(in_order(run["boxes"], run["scores"], run["labels"])).double()
            result = in_order(found.boxes_N4, found.scores_N.tolist(), found.classes_N.tolist())
            assert len(result) == len(expected), (case_name, name)
            if result:
                difference = torch.tensor(result).double()[:, :columns] - expected[:, :columns]
                assert difference.abs().max() <= 1e-4 + 1e-9, (case_name, name)
    assert {f"wbf_{kind}" for kind in CONF_TYPES} | {"nms", "wbf_w2_1", "wbf_skip0.5", "wbf_iou0.7"} <= ran


def naive_fusion(views: list[list[tuple[list[float], float, int]]], threshold: float):
    """Fusion of Solovyev et al. 2021 with loops, conf_type avg, weights 1."""

    def iou(a, b):
        w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
        inter = max(w, 0) * max(h, 0)
        return inter / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inter)

    clusters: list[dict] = []
    for box, score, label in sorted((d for view in views for d in view), key=lambda d: -d[1]):
        best = max((c for c in clusters if c["label"] == label), key=lambda c: iou(c["box"], box), default=None)
        if best is None or iou(best["box"], box) <= threshold:
            best = {"label": label, "members": []}
            clusters.append(best)
        best["members"].append((box, score))
        total = sum(s for _, s in best["members"])
        best["box"] = [sum(s * b[i] for b, s in best["members"]) / total for i in range(4)]
    for c in clusters:
        n = len(c["members"])
        c["score"] = sum(s for _, s in c["members"]) / n * min(n, len(views)) / len(views)
    return sorted([c["score"], c["label"], *c["box"]] for c in clusters)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31 - 1), st.lists(st.integers(0, 8), min_size=2, max_size=4))
def test_fusion_in_pixels_of_a_long_image_equals_loops(seed, counts):
    generator = torch.Generator().manual_seed(seed)
    scores = (
        torch.randperm(sum(counts), generator=generator).float() / 100 + 0.05
    )  # distinct: the order of ties is open
    views = []
    for count, part in zip(counts, scores.split(counts), strict=True):
        low = torch.randint(0, 30, (count, 2), generator=generator).float()
        high = low + torch.randint(8, 40, (count, 2), generator=generator)
        classes = torch.randint(0, 2, (count,), generator=generator)
        views.append(Detections(torch.cat((low, high), dim=1), part, classes, (80, 640)))
    found = merge_by_wbf(views, iou=0.5013)
    plain = [list(zip(v.boxes_N4.tolist(), v.scores_N.tolist(), v.classes_N.tolist(), strict=True)) for v in views]
    result = [
        [s, k, *b]
        for b, s, k in zip(found.boxes_N4.tolist(), found.scores_N.tolist(), found.classes_N.tolist(), strict=True)
    ]
    expected = naive_fusion(plain, 0.5013)
    assert len(result) == len(expected)
    for reference in expected:
        assert any(row == pytest.approx(reference, abs=2e-3) for row in result)


def detections(scores: Tensor, classes: Tensor) -> Detections:
    return Detections(torch.arange(4.0).expand(len(scores), 4), scores, classes, (10, 10))


def test_best_of_each_class_are_kept():
    scores = torch.linspace(0.1, 0.9, 12)
    found = keep_best(detections(scores, torch.arange(12) % 2), 3)
    assert found.scores_N.tolist() == scores[-6:].flip(0).tolist()
    assert found.classes_N.tolist() == [1, 0, 1, 0, 1, 0]
    assert len(keep_best(detections(scores[:0], torch.zeros(0, dtype=torch.int64)), 3).scores_N) == 0


@pytest.mark.parametrize("kind", ["wbf", "nms"])
def test_task_merges_views_and_caps(make_task, kind):
    task = make_task(merge=kind, keep=1, tta=TtaConfig(hflip=True))
    one = Detections(
        torch.tensor([[0.0, 0, 10, 10], [50, 0, 60, 10]]), torch.tensor([0.8, 0.3]), torch.zeros(2).long(), (99, 99)
    )
    two = Detections(torch.tensor([[2.0, 0, 12, 10]]), torch.tensor([0.4]), torch.zeros(1).long(), (99, 99))
    merged = task.merge(iter([one, two]))
    score, left = (0.6, 2 / 3) if kind == "wbf" else (0.8, 0.0)
    assert merged.scores_N.tolist() == pytest.approx([score])
    assert merged.boxes_N4[0, 0].item() == pytest.approx(left, abs=1e-4)
    assert len(task.merge(iter([one])).scores_N) == 1


def test_no_detection_in_any_view(make_task):
    none = Detections(torch.zeros((0, 4)), torch.zeros(0), torch.zeros(0).long(), (9, 9))
    for kind in ("wbf", "nms"):
        assert make_task(merge=kind).merge([none, none]).boxes_N4.shape == (0, 4)


def test_weights_must_fit_the_views(make_task):
    none = Detections(torch.zeros((0, 4)), torch.zeros(0), torch.zeros(0).long(), (9, 9))
    with pytest.raises(ConfigError, match="3 values for 2 test views"):
        make_task(wbf_weights=[1.0, 2.0, 3.0]).merge([none, none])
