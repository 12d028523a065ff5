"""How far a source has come: steps in which any of its tasks takes part, counted without going through them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from umbel.schedule.one_task_plans import SampledPlan, TurnPlan
from umbel.schedule.plan import CompositePlan, Plan
from umbel.schedule.window import Window

WINDOW = st.builds(
    lambda every, start, length: Window(every, start, None if length is None else start + length),
    st.integers(1, 7), st.integers(0, 30), st.none() | st.integers(1, 60),
)  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(st.lists(WINDOW, min_size=1, max_size=4), st.integers(0, 150), st.sampled_from(["composite", "turns", "drawn"]))
def test_count_is_that_of_the_steps(windows: list[Window], step: int, strategy: str) -> None:
    named = {f"t{n}": window for n, window in enumerate(windows)}
    plans: dict[str, Plan] = {
        "composite": CompositePlan(named),
        "turns": TurnPlan(named),
        "drawn": SampledPlan(named, dict.fromkeys(named, 1.0), seed=3),
    }
    plan = plans[strategy]
    for count in range(1, len(named) + 1):
        tasks = tuple(named)[:count]
        assert plan.taken_by_any(tasks, step) == sum(any(name in plan.at(at) for name in tasks) for at in range(step))


def test_of_one_task_it_is_its_own() -> None:
    plan = CompositePlan({"a": Window(3, 1, 9), "b": Window()})
    assert [plan.taken_by_any(("a",), step) for step in range(14)] == [plan.taken("a", step) for step in range(14)]


@pytest.mark.timeout(5)
def test_it_is_quick_far_into_a_run() -> None:
    plan = CompositePlan({"a": Window(7), "b": Window(11, 5), "c": Window(13, 1)})
    far = 10**8
    assert plan.taken_by_any(("a", "b", "c"), far) == pytest.approx(far * (1 - 6 / 7 * 10 / 11 * 12 / 13), rel=1e-6)
