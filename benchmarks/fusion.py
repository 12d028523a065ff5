"""Weighted boxes fusion of six views against ensemble-boxes: the same boxes, how much sooner."""

from __future__ import annotations

import warnings

import numpy as np
import torch
from ensemble_boxes import weighted_boxes_fusion
from measure import arguments, medians, ratio, side_by_side
from report import Claim, milliseconds, publish
from system import jittered, random_detections

from umbel.tasks.detection.postprocess.merge import merge_by_wbf
from umbel.tasks.detection.prediction import Detections

VIEWS, CLASSES, SIZE = 6, 45, (2048, 2048)


def make(boxes: int) -> list[Detections]:
    """What six views of an image find: the same objects, each moved a little."""
    rng = np.random.default_rng(0)
    found, _, classes = random_detections(rng, boxes, CLASSES, SIZE)
    return [
        Detections(
            torch.from_numpy(np.clip(jittered(rng, found, 3), 0, SIZE[0])),
            torch.from_numpy(rng.uniform(0.01, 1, boxes).astype(np.float32)),
            torch.from_numpy(classes),
            SIZE,
        )
        for _ in range(VIEWS)
    ]


def by_ensemble_boxes(views: list[Detections]) -> np.ndarray:
    """Rows x1, y1, x2, y2 in pixels, score, class, best first."""
    boxes, scores, classes = weighted_boxes_fusion(
        [(view.boxes_N4.double().numpy() / SIZE[0]).tolist() for view in views],
        [view.scores_N.tolist() for view in views],
        [view.classes_N.tolist() for view in views],
        iou_thr=0.55,
        skip_box_thr=0.001,
    )
    return np.column_stack((boxes * SIZE[0], scores, classes))


def farthest(one: np.ndarray, other: np.ndarray) -> float:
    """The largest distance of a row of one table from its nearest in the other, either way."""
    apart = np.abs(one[:, None] - other[None]).max(axis=2)
    return float(max(apart.min(axis=0).max(), apart.min(axis=1).max()))


def main() -> None:
    quick = arguments(__doc__).quick
    warnings.filterwarnings("ignore")
    rows, claims = [], []
    for boxes in (20,) if quick else (100, 300, 1000):
        views = make(boxes)
        ours, theirs = merge_by_wbf(views), by_ensemble_boxes(views)
        fused = np.column_stack((ours.boxes_N4 / SIZE[0], ours.scores_N, ours.classes_N))
        theirs[:, :4] /= SIZE[0]
        apart = farthest(fused, theirs) if len(fused) == len(theirs) else float("inf")
        runs = {"umbel": lambda v=views: merge_by_wbf(v), "ensemble-boxes": lambda v=views: by_ensemble_boxes(v)}
        times = side_by_side(runs, 2 if quick else 11)
        rows += [(f"{name}, {boxes} boxes", milliseconds(value)) for name, value in medians(times).items()]
        claims += [
            Claim(
                f"ensemble-boxes / umbel, {VIEWS} x {boxes} boxes",
                ratio(times, "ensemble-boxes", "umbel"),
                10 if boxes == 300 else None,
                at_most=False,
            ),
            Claim(f"largest difference, boxes as shares of the image, {boxes} boxes", apart, 1e-6),
        ]
    publish("fusion", ("fusion", "median ms"), rows, claims)


if __name__ == "__main__":
    main()
