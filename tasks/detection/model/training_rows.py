"""Labels of a batch as the loss takes them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from umbel import Size
from umbel.tasks.detection.model.boxes import xyxy_to_cxcywh
from umbel.tasks.detection.prediction import BoxTarget


def training_rows(targets: Sequence[BoxTarget], size: Size) -> Tensor:
    """Labels of a batch as the loss takes them.

    Args:
        targets: B of them, in pixels of the network input.
        size: height and width of the network input.

    Returns:
        (T, 6) float32: image index, class, and cx, cy, w, h divided by the input's width and height; no crowd boxes.
    """
    height, width = size
    scale = torch.tensor([width, height, width, height], dtype=torch.float32)
    rows = [torch.zeros((0, 6))]
    for index, target in enumerate(targets):
        solid = ~target.crowd_N
        boxes = torch.from_numpy(target.boxes_N4[solid]).float()
        classes = torch.from_numpy(target.classes_N[solid]).float()
        rows.append(
            torch.cat(
                (torch.full((len(boxes), 1), float(index)), classes[:, None], xyxy_to_cxcywh(boxes) / scale), dim=1
            )
        )
    return torch.cat(rows)
