"""Plans against going through the steps one by one."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from umbel.contract.errors import ConfigError
from umbel.contract.task_config import TaskConfig
from umbel.schedule.build import check_plan, make_plan
from umbel.schedule.config import ScheduleConfig
from umbel.schedule.epochs import epochs_seen, passes_text, steps_per_epoch
from umbel.schedule.plan import Plan
from umbel.schedule.window import weight_at

STRATEGIES = ("composite", "round_robin", "proportional", "temperature")


def config(every: int = 1, start: int = 0, stop: int | None = None, weight: float = 1.0, warmup: int = 0) -> TaskConfig:
    return TaskConfig(
        "bright", 2, (8, 8), weight=weight, weight_warmup=warmup, every=every, start_step=start, stop_step=stop
    )


def plan_of(strategy: str, *tasks: TaskConfig, batches: tuple[float, ...] = (), seed: int = 0, t: float = 2.0) -> Plan:
    names = "abcdef"[: len(tasks)]
    counts = dict(zip(names, batches or (1.0,) * len(tasks), strict=True))
    return make_plan(dict(zip(names, tasks, strict=True)), ScheduleConfig(strategy, t), counts, seed)


@st.composite
def task_configs(draw: st.DrawFn) -> TaskConfig:
    start = draw(st.integers(0, 60))
    stop = draw(st.none() | st.integers(start + 1, 120))
    return config(draw(st.integers(1, 6)), start, stop)


@settings(deadline=None, max_examples=80)
@given(st.sampled_from(STRATEGIES), st.lists(task_configs(), min_size=1, max_size=4), st.integers(0, 5))
def test_participations_equal_counting_step_by_step(strategy: str, tasks: list[TaskConfig], seed: int) -> None:
    plan = plan_of(strategy, *tasks, batches=(3.0, 10.0, 1.5, 2.0)[: len(tasks)], seed=seed)
    counted = Counter[str]()
    for step in range(150):
        for name, task in plan.windows.items():
            assert plan.taken(name, step) == counted[name], (name, step)
            assert name not in plan.at(step) or task.holds(step)
        counted.update(plan.at(step))


def test_composite_by_hand() -> None:
    plan = plan_of("composite", config(), config(every=2, start=3), config(stop=4))
    members = ["".join(plan.at(step)) for step in range(8)]
    assert members == ["ac", "ac", "ac", "abc", "a", "ab", "a", "ab"]


def test_round_robin_by_hand() -> None:
    plan = plan_of("round_robin", config(), config(every=2), config())
    assert "".join(plan.at(step)[0] for step in range(10)) == "abcacabcac"
    assert plan.rates == {"a": 0.4, "b": 0.2, "c": 0.4}
    late = plan_of("round_robin", config(), config(start=3))
    assert "".join(late.at(step)[0] for step in range(7)) == "aaaabab"


@pytest.mark.parametrize(
    ("strategy", "temperature", "shares"),
    [
        ("proportional", 7.0, (8 / 14, 4 / 14, 2 / 14)),  # the temperature is that of the other strategy
        ("temperature", 1.0, (8 / 14, 4 / 14, 2 / 14)),
        ("temperature", 2.0, (8**0.5, 2.0, 2**0.5)),
        ("temperature", 1e6, (1 / 3, 1 / 3, 1 / 3)),
    ],
)
def test_drawn_tasks_have_their_shares(strategy: str, temperature: float, shares: tuple[float, ...]) -> None:
    plan = plan_of(strategy, config(), config(), config(), batches=(8, 4, 2), t=temperature)
    drawn = Counter(plan.at(step)[0] for step in range(5000))
    for name, share in zip("abc", shares, strict=True):
        expected = share / sum(shares)
        assert drawn[name] / 5000 == pytest.approx(expected, abs=0.0011)
        assert plan.rates[name] == pytest.approx(expected, abs=0.0011)
    first = Counter(plan.at(step)[0] for step in range(200))  # mixed, not one task after another
    assert len(first) == 3
    assert len({tuple(plan.at(step)[0] for step in range(first, first + 50)) for first in range(0, 1000, 50)}) == 20


def test_rare_task_gets_its_turn_and_every_divides_a_share() -> None:
    plan = plan_of("proportional", config(), config(), batches=(1e6, 1))
    assert Counter(plan.at(step)[0] for step in range(1000)) == {"a": 999, "b": 1}
    halved = plan_of("proportional", config(), config(every=3), batches=(5, 5))
    assert Counter(halved.at(step)[0] for step in range(1000)) == {"a": 750, "b": 250}


def test_drawn_plan_is_a_function_of_the_seed() -> None:
    def order(seed: int, first: int = 0) -> list[str]:
        plan = plan_of("proportional", config(), config(), batches=(3, 2), seed=seed)
        return [plan.at(step)[0] for step in range(first, 3000)]

    assert order(1) == order(1)
    assert order(1) != order(2)
    assert order(1, 2500) == order(1)[2500:]
    assert order(1)[:1000] != order(1)[1000:2000]


def test_far_step_is_counted_at_once() -> None:
    for strategy in STRATEGIES:
        plan = plan_of(strategy, config(), config(every=3, start=100), batches=(3, 5))
        far = 90_000_017
        taken = {name: plan.taken(name, far) for name in "ab"}
        if strategy == "composite":
            assert taken == {"a": far, "b": 29_999_973}
        else:
            assert sum(taken.values()) == far


@pytest.mark.parametrize(
    ("strategy", "tasks", "steps", "part"),
    [
        ("composite", (config(every=2), config(every=4)), 20, "no task takes part in step 1 "),
        ("composite", (config(every=2), config(every=2, start=1, stop=15)), 20, "no task takes part in step 15 "),
        ("composite", (config(every=2), config(every=3, start=1)), 20, "no task takes part in step 3 "),
        ("composite", (config(start=5),), 20, "no task takes part in step 0 "),
        ("round_robin", (config(stop=5), config(start=7)), 20, "no task takes part in step 5 "),
        ("proportional", (config(stop=5),), 20, "no task takes part in step 5 "),
        ("composite", (config(), config(start=20)), 20, r"tasks\.b\.start_step: takes part in none of the 20"),
    ],
)
def test_step_without_a_task_is_refused(strategy: str, tasks: tuple[TaskConfig, ...], steps: int, part: str) -> None:
    with pytest.raises(ConfigError, match=part):
        check_plan(plan_of(strategy, *tasks), steps)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(STRATEGIES), st.lists(task_configs(), min_size=1, max_size=3))
def test_refusal_equals_looking_at_every_step(strategy: str, tasks: list[TaskConfig]) -> None:
    plan = plan_of(strategy, *tasks)
    wrong = any(not plan.at(step) for step in range(100)) or any(not plan.taken(name, 100) for name in plan.windows)
    if wrong:
        with pytest.raises(ConfigError):
            check_plan(plan, 100)
    else:
        check_plan(plan, 100)


def test_turns_whose_cycle_never_ends_are_refused() -> None:
    with pytest.raises(ConfigError, match="common multiple"):
        plan_of("round_robin", config(every=997), config(every=991))


def test_weight_grows_from_the_first_step_of_the_task() -> None:
    task = config(start=10, weight=3.0, warmup=4)
    assert [weight_at(task, step) for step in (10, 11, 12, 13, 14, 99)] == [0.75, 1.5, 2.25, 3.0, 3.0, 3.0]
    assert weight_at(config(weight=0.3), 0) == 0.3


def test_epochs_and_passes() -> None:
    batches = {"a": 2.5, "b": 10.0}
    plan = plan_of("composite", config(), config(every=2), batches=(2.5, 10))
    assert steps_per_epoch(plan, batches) == 20
    assert epochs_seen(plan, batches, 20) == {"a": 8.0, "b": 1.0}
    assert passes_text(plan, batches, 20) == "seen a 8.00 times, b 1.00 times; per epoch of b: a 8.00 times"
    turns = plan_of("round_robin", config(), config(), config(), batches=(1, 1, 3))
    assert steps_per_epoch(turns, {"a": 1, "b": 1, "c": 3}) == 9
    drawn = plan_of("proportional", config(), config(), batches=(30, 10))
    assert steps_per_epoch(drawn, {"a": 30, "b": 10}) == 40
    assert passes_text(plan_of("composite", config()), {"a": 4}, 10) == "seen a 2.50 times"
