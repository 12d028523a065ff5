"""Detections as result files have them, and filtering them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from umbel.tasks.detection.formats.categories import Categories
from umbel.tasks.detection.prediction import Detections


def filter_detections(
    detections: Detections, categories: Categories, confidence: float | None, classes: frozenset[str]
) -> Detections:
    """Detections of the named classes (empty: all) with at least this score; all of these are then worth drawing."""
    keep = torch.ones(len(detections.scores_N), dtype=torch.bool)
    if classes:
        keep &= torch.tensor([name in classes for name in categories.names])[detections.classes_N]
    if confidence is None:
        return detections.select(keep)
    return replace(detections.select(keep & (detections.scores_N >= confidence)), drawn_from=confidence)


def coco_results(detections: Detections, categories: Categories) -> list[dict[str, Any]]:
    """COCO results: category_id as in the annotations, category, bbox [x, y, width, height], score."""
    rows = zip(detections.boxes_N4.tolist(), detections.scores_N.tolist(), detections.classes_N.tolist(), strict=True)
    return [
        {
            "category_id": categories.ids[index],
            "category": categories.names[index],
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "score": score,
        }
        for (x1, y1, x2, y2), score, index in rows
    ]


def coco_annotations(detections: Detections, categories: Categories) -> list[dict[str, Any]]:
    """Entries of a COCO file's `annotations`, which any reader of COCO data takes as labels."""
    return [
        {
            "category_id": result["category_id"],
            "bbox": result["bbox"],
            "area": result["bbox"][2] * result["bbox"][3],
            "iscrowd": 0,
            "score": result["score"],
        }
        for result in coco_results(detections, categories)
    ]
