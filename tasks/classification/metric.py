"""Top-1 and top-5 accuracy; of equal scores the lowest class counts."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric

from umbel.tasks.classification.prediction import ClassScores


class TopKAccuracy(Metric):
    """Share of images whose class is among the k likeliest; of tied classes the lowest id comes first.

    `compute()` gives `top1`, and `top5` when there are at least 5 classes.

    Args:
        classes: number of classes.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    hits: Tensor  # int64 image counts, one for every k
    images: Tensor  # int64

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.ks = (1, 5) if classes >= 5 else (1,)
        self.add_state("hits", torch.zeros(len(self.ks), dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("images", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, predictions: Sequence[ClassScores], targets: Sequence[int]) -> None:
        """Count images, given their scores and true class ids."""
        for prediction, target in zip(predictions, targets, strict=True):
            rank = _rank(prediction.probabilities, int(target))
            self.hits += torch.tensor([rank < k for k in self.ks], device=self.hits.device)
            self.images += 1

    def compute(self) -> dict[str, Tensor]:
        """Scalars by name, each in 0..1; 0 without an image."""
        shares = self.hits.double() / self.images.clamp(min=1)
        return {f"top{k}": share for k, share in zip(self.ks, shares, strict=True)}


def _rank(scores: Tensor, target: int) -> int:
    """How many classes come before the true one; NaN scores come before everything."""
    behind = scores < scores[target]
    behind[target:] |= scores[target:] == scores[target]  # ties behind it, and itself
    return int(len(scores) - behind.sum())
