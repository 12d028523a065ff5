"""Label maps as result files have them, and narrowing them to what is wanted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from umbel.tasks.segmentation.prediction import LabelMap


def narrow(label_map: LabelMap, class_names: Sequence[str], classes: frozenset[str], ignore_index: int) -> LabelMap:
    """Pixels of other than the named classes (empty: none) become `ignore_index`."""
    if not classes:
        return label_map
    kept = torch.tensor([name in classes for name in class_names] + [False] * (256 - len(class_names)))
    return LabelMap(torch.where(kept[label_map.labels.long()], label_map.labels, ignore_index))


def summary(label_map: LabelMap, class_names: Sequence[str]) -> dict[str, Any]:
    """Height and width, and the share of the pixels of every class that occurs."""
    counts = torch.bincount(label_map.labels.flatten(), minlength=len(class_names))[: len(class_names)]
    shares = (counts.double() / label_map.labels.numel()).tolist()
    return {
        "size": list(label_map.labels.shape),
        "pixel_share": {name: share for name, share in zip(class_names, shares, strict=True) if share > 0},
    }
