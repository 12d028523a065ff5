"""mAP of TT100K's size against pycocotools: the same digits, how much sooner."""

from __future__ import annotations

import contextlib
import io
from functools import partial
from typing import Any

import numpy as np
import torch
from measure import arguments, medians, ratio, side_by_side
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from report import Claim, publish
from system import jittered, random_detections

from umbel.tasks.detection.metric.metric import DetectionMetric
from umbel.tasks.detection.prediction import BoxTarget, Detections

SIZE = (2048, 2048)
DEFAULT, OPTIONAL, PEER = "umbel", "umbel, map_backend: hotcoco", "pycocotools"
CLASSES = 45


def make(images: int, boxes: int) -> list[tuple[BoxTarget, Detections]]:
    """Labels, and detections of which half are labels moved a little."""
    rng = np.random.default_rng(0)
    pairs = []
    for _ in range(images):
        truth, _, classes = random_detections(rng, boxes // 2, CLASSES, SIZE)
        stray, scores, others = random_detections(rng, boxes - boxes // 2, CLASSES, SIZE)
        found = np.concatenate((jittered(rng, truth, 4), stray))
        every = torch.from_numpy(np.concatenate((rng.uniform(0, 1, boxes // 2).astype(np.float32), scores)))
        detections = Detections(
            torch.from_numpy(found), every, torch.from_numpy(np.concatenate((classes, others))), SIZE
        )
        pairs.append((BoxTarget(truth, classes, np.zeros(len(truth), bool)), detections))
    return pairs


def by_umbel(pairs: list[tuple[BoxTarget, Detections]], backend: str) -> list[float]:
    metric = DetectionMetric(backend)
    metric.update([found for _, found in pairs], [truth for truth, _ in pairs])
    scores = metric.compute()
    return [float(scores["map50_95"]), float(scores["map50"])]


def by_pycocotools(pairs: list[tuple[BoxTarget, Detections]]) -> list[float]:
    annotations: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for image, (truth, found) in enumerate(pairs):
        for box, label in zip(truth.boxes_N4.tolist(), truth.classes_N.tolist(), strict=True):
            x1, y1, x2, y2 = box
            annotations.append(
                {"id": len(annotations) + 1, "image_id": image, "category_id": label, "iscrowd": 0,
                 "bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1)}
            )  # fmt: skip
        rows = zip(found.boxes_N4.tolist(), found.scores_N.tolist(), found.classes_N.tolist(), strict=True)
        for (x1, y1, x2, y2), score, label in rows:
            results.append(
                {"image_id": image, "category_id": label, "score": score, "bbox": [x1, y1, x2 - x1, y2 - y1]}
            )
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "images": [{"id": n, "height": SIZE[0], "width": SIZE[1]} for n in range(len(pairs))],
            "annotations": annotations,
            "categories": [{"id": n, "name": str(n)} for n in range(CLASSES)],
        }
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return [float(value) for value in evaluation.stats[:2]]


def main() -> None:
    quick = arguments(__doc__).quick
    pairs = make(20 if quick else 3067, 100)
    found: dict[str, list[float]] = {}
    evaluators = {
        DEFAULT: lambda: by_umbel(pairs, "faster_coco_eval"),
        OPTIONAL: lambda: by_umbel(pairs, "hotcoco"),
        PEER: lambda: by_pycocotools(pairs),
    }

    def run(name: str) -> None:
        found[name] = evaluators[name]()

    times = side_by_side({name: partial(run, name) for name in evaluators}, 1, 0)
    rows = [
        (name, f"{seconds:.2f}", f"{found[name][0]:.6f}", f"{found[name][1]:.6f}")
        for name, seconds in medians(times).items()
    ]
    apart = max(abs(a - b) for ours in (DEFAULT, OPTIONAL) for a, b in zip(found[ours], found[PEER], strict=True))
    claims = [
        Claim("pycocotools / umbel", ratio(times, PEER, DEFAULT), 7, at_most=False),
        Claim("pycocotools / umbel with map_backend: hotcoco", ratio(times, PEER, OPTIONAL), 30, at_most=False),
        Claim("largest difference of the results", apart, 1e-6),
    ]
    publish("mean_ap", ("evaluator", "s", "mAP", "mAP50"), rows, claims)


if __name__ == "__main__":
    main()
