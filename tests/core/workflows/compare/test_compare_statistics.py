"""delta-m and intervals against hand calculation and scipy's own interval."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from umbel.workflows.compare.statistics import (
    GAINS,
    LOSES,
    ONE_SEED,
    UNCLEAR,
    delta_m,
    interval,
    relative_change,
    verdict,
)

SCORES = st.floats(0.01, 1.0)


def test_delta_m_by_hand() -> None:
    assert delta_m({"a": 0.55, "b": 0.36}, {"a": 0.50, "b": 0.40}) == pytest.approx((0.1 - 0.1) / 2)
    assert delta_m({"a": 0.3}, {"a": 0.2}) == pytest.approx(0.5)


@given(st.lists(st.tuples(SCORES, SCORES), min_size=1, max_size=6))
def test_delta_m_is_the_mean_of_ratios_less_one(pairs: list[tuple[float, float]]) -> None:
    joint, single = ({str(i): pair[side] for i, pair in enumerate(pairs)} for side in (0, 1))
    expected = np.mean([a / b for a, b in pairs]) - 1
    assert delta_m(joint, single) == pytest.approx(expected, abs=1e-9)


def test_undefined_changes_are_left_out() -> None:
    assert math.isnan(relative_change(0.5, 0.0))
    assert math.isnan(relative_change(math.nan, 0.5))
    assert delta_m({"a": 0.6, "b": 0.5}, {"a": 0.5, "b": 0.0}) == pytest.approx(0.2)
    assert math.isnan(delta_m({"a": 0.6}, {"a": 0.0}))


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=8))
def test_interval_equals_scipy(values: list[float]) -> None:
    mean, half = interval(values)
    assert mean == pytest.approx(np.mean(values), abs=1e-12)
    assert half is not None
    spread = stats.sem(values)
    if spread > 1e-12:
        low, high = stats.t.interval(0.95, len(values) - 1, loc=np.mean(values), scale=spread)
        assert (mean - half, mean + half) == (pytest.approx(low), pytest.approx(high))
    else:
        assert half == pytest.approx(0, abs=1e-9)


def test_interval_covers_as_often_as_it_says() -> None:
    draws = np.random.default_rng(0).normal(0.3, 1.0, (2000, 3))
    covered = 0
    for row in draws:
        mean, half = interval(row.tolist())
        assert half is not None
        covered += abs(mean - 0.3) <= half
    assert 0.93 < covered / len(draws) < 0.97


def test_one_value_and_none() -> None:
    assert interval([0.25]) == (0.25, None)
    assert interval([math.nan, 0.25]) == (0.25, None)
    assert math.isnan(interval([])[0])


def test_verdicts() -> None:
    assert [verdict(*pair) for pair in ((0.2, 0.1), (-0.2, 0.1), (0.05, 0.1), (0.2, None))] == [
        GAINS, LOSES, UNCLEAR, ONE_SEED
    ]  # fmt: skip
