"""Relative change over tasks (delta-m) and confidence intervals over seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

GAINS, LOSES, UNCLEAR, ONE_SEED = "gains", "loses", "no clear difference", "one seed: cannot be told from chance"

CONFIDENCE = 0.95


def relative_change(joint: float, single: float) -> float:
    """(joint - single) / |single|; NaN where the single-task score is 0 or either is unknown."""
    if single == 0 or not (math.isfinite(joint) and math.isfinite(single)):
        return math.nan
    return (joint - single) / abs(single)


def delta_m(joint: Mapping[str, float], single: Mapping[str, float]) -> float:
    """Mean relative change over tasks (Vandenhende et al. 2021), of metrics of which more is better.

    Args:
        joint: main score of each task in the joint model.
        single: main score of each task in its own model.

    Returns:
        A share, 0.01 is one percent; tasks whose change is undefined are left out, NaN if all are.
    """
    known = [change for task in single if not math.isnan(change := relative_change(joint[task], single[task]))]
    return sum(known) / len(known) if known else math.nan


def interval(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean, and half the width of its two-sided 95 % confidence interval by Student's t.

    Args:
        values: one a seed, paired differences among them; NaN ones are left out.

    Returns:
        The half width is None for fewer than two values.
    """
    known = [value for value in values if math.isfinite(value)]
    if not known:
        return math.nan, None
    mean = sum(known) / len(known)
    if len(known) < 2:
        return mean, None
    from scipy.stats import t  # half a second, and only here

    variance = sum((value - mean) ** 2 for value in known) / (len(known) - 1)
    quantile = float(t.ppf((1 + CONFIDENCE) / 2, len(known) - 1))
    return mean, quantile * math.sqrt(variance / len(known))


def verdict(mean: float, half: float | None) -> str:
    """In words: whether an interval lies above, below or around 0."""
    if half is None:
        return ONE_SEED
    if mean - half > 0:
        return GAINS
    return LOSES if mean + half < 0 else UNCLEAR
