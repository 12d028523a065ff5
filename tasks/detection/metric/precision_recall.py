"""Precision over recall and average precision, as COCO computes them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

RECALLS = np.linspace(0, 1, 101)


def precision_recall(scores: Sequence[float], hits: Sequence[bool], objects: int) -> np.ndarray:
    """Highest precision at or beyond each of 101 recalls.

    Args:
        scores: of all detections of a class, in any order.
        hits: whether each found an object.
        objects: objects there are.

    Returns:
        (101,) float64; 0 beyond the recall that was reached, and everywhere without an object.
    """
    precision = np.zeros(len(RECALLS))
    if not objects or not len(scores):
        return precision
    order = np.argsort(-np.asarray(scores), kind="stable")
    right = np.cumsum(np.asarray(hits, float)[order])
    reached = right / objects
    exact = right / np.arange(1, len(right) + 1)
    envelope = np.maximum.accumulate(exact[::-1])[::-1]
    places = np.searchsorted(reached, RECALLS, side="left")
    within = places < len(envelope)
    precision[within] = envelope[places[within]]
    return precision


def average_precision(curve: np.ndarray) -> float:
    """Mean of a curve of `precision_recall`."""
    return float(curve.mean())
