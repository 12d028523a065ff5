"""The greedy search against a search by hand over plain evaluations."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.contract.errors import ConfigError
from umbel.contract.task_config import TtaConfig
from umbel.data.datasets import load_datasets
from umbel.evaluate.evaluate import evaluate_task
from umbel.evaluate.tta_search import START, Choice, climb, search, within_budget
from umbel.evaluate.tta_table import Row
from umbel.training.run import Run

Viewed = Callable[..., Run]


def row(score: float, cost: float = 1.0) -> Row:
    return Row("r", TtaConfig(), 1, {"m": score}, 0.0, cost, 0.0)


def choice(*scales: float, hflip: bool = False) -> Choice:
    return frozenset({1.0, *scales}), hflip


def test_the_best_step_is_taken_until_none_helps() -> None:
    rows = {
        START: row(0.5),
        choice(1.5): row(0.6),
        choice(2.0): row(0.7),
        choice(hflip=True): row(0.65),
        choice(1.5, 2.0): row(0.68),
        choice(2.0, hflip=True): row(0.71),
        choice(1.5, 2.0, hflip=True): row(0.70),
        choice(1.5, hflip=True): row(0.99),  # not on the greedy way
    }
    steps = climb(rows, "m")
    assert [step.scores["m"] for step in steps] == [0.5, 0.7, 0.71]


def test_of_equal_gains_the_cheaper_and_no_step_to_an_undefined_score() -> None:
    rows = {START: row(0.5), choice(1.5): row(0.6, 3.0), choice(0.5): row(0.6, 1.3), choice(2.0): row(math.nan)}
    assert [step.cost for step in climb(rows, "m")] == [1.0, 1.3]
    assert len(climb({START: row(math.nan), choice(2.0): row(0.4)}, "m")) == 1


@given(st.dictionaries(st.tuples(st.frozensets(st.sampled_from([0.5, 2.0, 3.0])), st.booleans()), st.floats(0, 1)))
def test_every_step_is_higher_and_adds_one_thing(scores: dict[Choice, float]) -> None:
    rows = {START: row(0.5)} | {(scales | {1.0}, flip): row(score) for (scales, flip), score in scores.items()}
    rows[START] = row(0.5)
    by_row = {id(of_choice): chosen for chosen, of_choice in rows.items()}
    steps = climb(rows, "m")
    for before, after in pairwise(steps):
        assert after.scores["m"] > before.scores["m"]
        (old, old_flip), (new, new_flip) = by_row[id(before)], by_row[id(after)]
        assert len(new - old) + (new_flip - old_flip) == 1
        assert old <= new


def test_budget(viewed: Viewed) -> None:
    task = viewed().tasks["bright"]
    assert within_budget(task, [1.5], 1.0, (16, 24)) == [START]
    assert within_budget(task, [1.5], 2.0, (16, 24)) == [START, choice(hflip=True)]
    assert choice(1.5) in within_budget(task, [1.5], 3.5, (16, 24))  # 24 x 40 of 16 x 24 more: 3.5
    assert choice(1.5) not in within_budget(task, [1.5], 3.49, (16, 24))
    assert len(within_budget(task, [0.5, 1.0, 1.5], 100, (16, 24))) == 8


def test_search_equals_one_by_hand(viewed: Viewed) -> None:
    run = viewed("tasks.bright.options.gain=0.5")
    data = load_datasets(run.tasks, "val")["bright"]
    found = search(run.runtime, run.tasks["bright"], scales=[0.5, 1.5], budget=6.0, dataset=data, limit=None)
    assert found.steps[0].name == "Original"
    assert found.steps[0].cost == 1
    assert all(of_choice.cost <= 6 for of_choice in found.rows)
    assert {frozenset(of_choice.tta.scales) for of_choice in found.rows} > {frozenset({1.0}), frozenset({1.0, 1.5})}
    for of_choice in found.rows:
        keys = [f"tasks.bright.tta.{key}={value}" for key, value in vars(of_choice.tta).items()]
        alone = viewed("tasks.bright.options.gain=0.5", *keys)
        scores = evaluate_task(alone.runtime, alone.tasks["bright"], data)
        assert of_choice.scores == pytest.approx(scores, abs=1e-6)
    reachable = [r for r in found.rows if len(r.tta.scales) + r.tta.hflip == 2]
    best = max([found.steps[0], *reachable], key=lambda r: r.scores["closeness"])
    assert (found.steps[1] if len(found.steps) > 1 else found.steps[0]) == best


def test_too_many_combinations_are_refused(viewed: Viewed) -> None:
    run = viewed()
    data = load_datasets(run.tasks, "val")["bright"]
    scales = [0.5 + 0.1 * n for n in range(9)]
    with pytest.raises(ConfigError, match="at most 128 are tried"):
        search(run.runtime, run.tasks["bright"], scales=scales, budget=1000, dataset=data, limit=None)
