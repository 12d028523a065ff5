"""What the classification task predicts."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class ClassScores:
    """A probability for every class.

    Args:
        probabilities: (K,) float32, on the CPU.
    """

    probabilities: Tensor

    @property
    def label(self) -> int:
        """The likeliest class; the lowest id of those that tie."""
        return int(self.probabilities.numpy().argmax())

    @property
    def undecided(self) -> bool:
        """Whether no class is left, because none is wanted and likely enough."""
        return not bool(self.probabilities.any())
