from __future__ import annotations

import copy
import logging

import numpy as np
import pytest
import torch
from torch import Tensor

from umbel import ConfigError
from umbel.tasks.detection.metric.map_backends import BACKENDS, check_backend
from umbel.tasks.detection.metric.metric import DetectionMetric
from umbel.tasks.detection.prediction import BoxTarget, Detections


def corners(rows) -> np.ndarray:
    boxes = np.array(rows, dtype=np.float32).reshape(-1, 4)
    return np.concatenate((boxes[:, :2], boxes[:, :2] + boxes[:, 2:]), axis=1)


def images_of(case) -> list[tuple[Detections, BoxTarget]]:
    pairs = []
    for image in case["images"]:
        found = [d for d in case["dets"] if d[0] == image]
        wanted = [a for a in case["anns"] if a[0] == image]
        pairs.append(
            (
                Detections(
                    torch.from_numpy(corners([d[2] for d in found])),
                    torch.tensor([d[3] for d in found]),
                    torch.tensor([d[1] for d in found], dtype=torch.int64),
                    (1000, 1000),
                ),
                BoxTarget(
                    corners([a[2] for a in wanted]),
                    np.array([a[1] for a in wanted], dtype=np.int64),
                    np.array([len(a) > 3 and bool(a[3]) for a in wanted], dtype=bool),
                ),
            )
        )
    return pairs


def score(pairs, backend: str = "faster_coco_eval") -> dict[str, float]:
    metric = DetectionMetric(backend)
    for prediction, target in pairs:
        metric.update([prediction], [target])
    return {key: value.item() for key, value in metric.compute().items()}


@pytest.mark.parametrize("backend", BACKENDS)
def test_map_equals_pycocotools(golden, backend):
    for name, case in golden("coco_map50.json")["cases"].items():
        if case["result"]["maxDets"][-1] != 100:
            continue
        expected = {key: max(case["result"][key], 0.0) for key in ("map50", "map50_95")}
        assert score(images_of(case), backend) == pytest.approx(expected, rel=1e-5), name


def grid_boxes(count: int) -> list[list[float]]:
    return [[20.0 * (i % 40), 20.0 * (i // 40), 10.0, 10.0] for i in range(count)]


def test_the_cap_of_100_detections_is_per_class():
    boxes = corners(grid_boxes(160))
    classes = np.arange(160) % 2
    found = Detections(torch.from_numpy(boxes), torch.linspace(0.9, 0.1, 160), torch.from_numpy(classes), (999, 999))
    assert score([(found, BoxTarget(boxes, classes, np.zeros(160, dtype=bool)))])["map50"] == pytest.approx(1.0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_labels_anywhere_is_zero(backend):
    empty = BoxTarget(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(0, bool))
    nothing = Detections(torch.zeros((0, 4)), torch.zeros(0), torch.zeros(0).long(), (9, 9))
    something = Detections(torch.tensor([[0.0, 0, 5, 5]]), torch.tensor([0.5]), torch.zeros(1).long(), (9, 9))
    assert score([(nothing, empty)], backend) == {"map50": 0.0, "map50_95": 0.0}
    assert score([(something, empty)], backend) == {"map50": 0.0, "map50_95": 0.0}
    crowd = BoxTarget(np.array([[0, 0, 5, 5]], np.float32), np.zeros(1, np.int64), np.ones(1, bool))
    assert score([(something, crowd)], backend)["map50"] == 0.0


def test_processes_with_unequal_shares_agree_with_one(golden, monkeypatch):
    """Joins the states of a process of two images, one of one, and one of none, as torchmetrics gathers them."""
    pairs = images_of(golden("coco_map50.json")["cases"]["basic"])
    pairs.append(images_of(golden("coco_map50.json")["cases"]["crowd"])[0])
    shares = [DetectionMetric() for _ in range(3)]
    shares[0].update(*zip(*pairs[:2], strict=True))
    shares[1].update(*zip(*pairs[2:], strict=True))
    order = list(DetectionMetric()._reductions)
    states = [
        [torch.cat(list(getattr(share, name))) if getattr(share, name) else torch.zeros(0) for name in order]
        for share in shares
    ]
    position = iter(range(len(order)))

    def gather(tensor: Tensor, group: object = None) -> list[Tensor]:
        at = next(position)
        assert torch.equal(tensor, states[0][at])
        return [state[at] for state in states]

    joined = copy.deepcopy(shares[0])
    joined._sync_dist(gather)
    assert {k: v.item() for k, v in joined.compute().items()} == pytest.approx(score(pairs))


def test_evaluation_logs_and_prints_nothing(golden, caplog, capfd):
    caplog.set_level(logging.INFO)
    score(images_of(golden("coco_map50.json")["cases"]["basic"]))
    assert (caplog.messages, capfd.readouterr().out) == ([], "")


def test_reset_forgets(golden):
    pairs = images_of(golden("coco_map50.json")["cases"]["basic"])
    metric = DetectionMetric()
    metric.update(*zip(*images_of(golden("coco_map50.json")["cases"]["crowd"]), strict=True))
    metric.reset()
    metric.update(*zip(*pairs, strict=True))
    assert metric.compute()["map50"].item() == pytest.approx(score(pairs)["map50"])


@pytest.mark.parametrize("seed", range(4))
def test_backends_give_the_same_digits(seed):
    rng = np.random.default_rng(seed)
    pairs = []
    for _ in range(12):
        count = int(rng.integers(0, 9))
        low = rng.uniform(0, 200, (count, 2))
        boxes = np.hstack((low, low + rng.uniform(4, 150, (count, 2)))).astype(np.float32)
        classes = rng.integers(0, 3, count)
        truth = BoxTarget(boxes, classes, rng.random(count) < 0.2)
        moved = boxes + rng.normal(0, 6, boxes.shape).astype(np.float32)
        scores = torch.from_numpy(rng.random(count).astype(np.float32))
        pairs.append((Detections(torch.from_numpy(moved), scores, torch.from_numpy(classes), (400, 400)), truth))
    assert score(pairs, "hotcoco") == pytest.approx(score(pairs), abs=1e-6)


def test_backend_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"not installed.*pip install hotcoco"):
        check_backend("hotcoco")
    check_backend("faster_coco_eval")
