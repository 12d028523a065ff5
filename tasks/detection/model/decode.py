"""Raw maps to boxes in pixels of the network input, by the formulas of YOLOv5 7.0.

Legend: B images, A anchors a level, H and W cells, F = 5 + classes fields, N = all cells times anchors.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from umbel.tasks.detection.model.head import STRIDES


def decode_maps(maps: Sequence[Tensor], anchors_LA2: Tensor) -> Tensor:
    """All predictions of a batch, ordered by level, anchor, row and column.

    Args:
        maps: raw outputs (B, A, H, W, F) of the levels.
        anchors_LA2: anchors in pixels.

    Returns:
        (B, N, F) float32: cx, cy, w, h in pixels, then objectness and class probabilities.
    """
    decoded = []
    for raw, anchors_A2, stride in zip(maps, anchors_LA2, STRIDES, strict=True):
        fields = raw.float().sigmoid()
        rows, columns = raw.shape[2:4]
        y = torch.arange(rows, device=raw.device, dtype=torch.float32)
        x = torch.arange(columns, device=raw.device, dtype=torch.float32)
        corners_HW2 = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)
        centres = (2 * fields[..., :2] - 0.5 + corners_HW2) * stride
        sizes = (2 * fields[..., 2:4]).square() * anchors_A2[:, None, None]
        decoded.append(torch.cat((centres, sizes, fields[..., 4:]), dim=-1).flatten(1, 3))
    return torch.cat(decoded, dim=1)
