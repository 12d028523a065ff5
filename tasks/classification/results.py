"""Class probabilities as result files have them, and narrowing them to what is wanted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from umbel.tasks.classification.prediction import ClassScores

LISTED = 5  # classes in a result file


def narrow(
    scores: ClassScores, class_names: Sequence[str], confidence: float | None, classes: frozenset[str]
) -> ClassScores:
    """Probabilities of other classes, and those below the confidence, become 0; the others stay as they are."""
    kept = scores.probabilities >= (confidence or 0.0)
    if classes:
        kept &= torch.tensor([name in classes for name in class_names])
    return ClassScores(scores.probabilities * kept)


def likeliest(scores: ClassScores, class_names: Sequence[str]) -> dict[str, Any]:
    """The likeliest class, and the five likeliest with their probabilities; nulls where none is left."""
    if scores.undecided:
        return {"class_id": None, "class": None, "probability": None, "top5": []}
    probabilities = scores.probabilities.tolist()
    order = sorted(range(len(probabilities)), key=lambda class_id: -probabilities[class_id])  # stable: ties by id
    listed = [class_id for class_id in order[:LISTED] if probabilities[class_id] > 0]
    top = [{"class": class_names[class_id], "probability": probabilities[class_id]} for class_id in listed]
    return {"class_id": order[0], **top[0], "top5": top}
