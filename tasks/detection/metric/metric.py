"""Mean average precision after COCO, equal to pycocotools 2.0.11."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from umbel.tasks.detection.metric.map_backends import BACKENDS
from umbel.tasks.detection.prediction import ANY_CLASS, BoxTarget, Detections

logging.getLogger("faster_coco_eval").setLevel(logging.WARNING)  # it logs a table of 14 lines at every evaluation


class DetectionMetric(Metric):
    """mAP at IoU 0.5 ("map50") and over 0.5..0.95 ("map50_95"), 100 detections an image and class.

    Crowd boxes are ignored, by the detections of their class or, without one, by all; classes without a labelled box
    are left out of the mean; without any the result is 0.

    The states are flat float tensors that processes concatenate, so each may have seen another number of images:
    torchmetrics' own mAP gathers one tensor an image and would wait for ever.

    Args:
        backend: which library computes it, of `BACKENDS`.
    """

    counts: list[Tensor]
    detections: list[Tensor]
    objects: list[Tensor]

    def __init__(self, backend: str = "faster_coco_eval") -> None:
        super().__init__()
        self.backend = backend
        self.add_state("counts", default=[], dist_reduce_fx="cat")
        self.add_state("detections", default=[], dist_reduce_fx="cat")
        self.add_state("objects", default=[], dist_reduce_fx="cat")

    def update(self, predictions: Sequence[Detections], targets: Sequence[BoxTarget]) -> None:
        """Add images: predictions and targets in original coordinates, one each an image."""
        for found, wanted in zip(predictions, targets, strict=True):
            boxes = torch.from_numpy(wanted.boxes_N4)
            classes, crowd = torch.from_numpy(wanted.classes_N), torch.from_numpy(wanted.crowd_N)
            self.counts.append(self._flat(torch.tensor([len(found.boxes_N4), len(boxes)])))
            self.detections.append(self._flat(found.boxes_N4, found.scores_N, found.classes_N))
            self.objects.append(self._flat(boxes, classes, crowd))

    def compute(self) -> dict[str, Tensor]:
        """Scalars "map50" and "map50_95" in 0..1."""
        counts = _joined(self.counts).view(-1, 2).long().T.tolist()
        detections = torch.split(_joined(self.detections).view(-1, 6), counts[0]) if counts[0] else ()
        objects = torch.split(_joined(self.objects).view(-1, 6), counts[1]) if counts[1] else ()
        rows_by_image = _with_crowds_of_every_class(objects)
        wanted = any(len(rows) for rows in objects)
        scores = BACKENDS[self.backend](detections, rows_by_image) if wanted else (0.0, 0.0)
        return {
            name: torch.tensor(max(0.0, value), device=self.device)
            for name, value in zip(("map50_95", "map50"), scores, strict=True)
        }

    def _flat(self, *columns: Tensor) -> Tensor:
        parts = [column.float() if column.ndim == 2 else column.float()[:, None] for column in columns]
        return torch.cat(parts, dim=1).flatten().to(self.device)


def _with_crowds_of_every_class(objects: Sequence[Tensor]) -> list[Tensor]:
    """Rows x1, y1, x2, y2, class, crowd of every image, ANY_CLASS replaced by each class that has labelled boxes."""
    if not any((rows[:, 4] == ANY_CLASS).any() for rows in objects):
        return list(objects)
    labels = torch.unique(torch.cat([rows[:, 4] for rows in objects]))
    labels = labels[labels != ANY_CLASS]
    spread = []
    for rows in objects:
        anywhere = rows[:, 4] == ANY_CLASS
        copies = rows[anywhere].repeat(len(labels), 1)
        copies[:, 4] = labels.repeat_interleave(int(anywhere.sum()))
        spread.append(torch.cat((rows[~anywhere], copies)))
    return spread


def _joined(state: Any) -> Tensor:
    """A state as one CPU tensor: a list before processes were joined, a tensor after."""
    if isinstance(state, Tensor):
        return state.cpu()
    return torch.cat(state).cpu() if state else torch.zeros(0)
