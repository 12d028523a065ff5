"""Score formulas against Python's own arithmetic."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.contract.errors import ConfigError
from umbel.evaluate.score import check_formula, overall_score

SCORES = {"road/miou": 0.5, "road/fwiou": 0.75, "cars/top1": 0.9, "signs/map": 0.0}
MAINS = {"road": "miou", "cars": "top1", "signs": "map"}


@pytest.mark.parametrize(
    ("formula", "value"),
    [
        ("mean", 1.4 / 3),
        ("road", 0.5),
        ("road.fwiou", 0.75),
        ("(road.miou + cars.top1) / 2", 0.7),
        ("mean(road, cars)", 0.7),
        ("min(road.miou, cars, 0.4)", 0.4),
        ("max(road.miou, cars)", 0.9),
        ("-road.miou * 2 - 1", -2.0),
        ("1 / 4", 0.25),
        ("max(mean(road, signs), 0.1)", 0.25),
    ],
)
def test_formulas(formula: str, value: float) -> None:
    check_formula(formula, MAINS)
    assert overall_score(formula, SCORES, MAINS) == pytest.approx(value)


@pytest.mark.parametrize(
    ("formula", "part"),
    [
        ("", "'' is not a formula"),
        ("road.miou +", "is not a formula"),
        ("road.miou\0", "is not a formula"),
        ("rode.miou", "there is no task 'rode'"),
        ("sky", "there is no task 'sky'"),
        ("__import__('os').getcwd()", "there is no task '__import__'"),
        ("[road for road in road]", "neither a metric nor arithmetic"),
        ("road if cars else signs", "neither a metric nor arithmetic"),
        ("lambda: 1", "neither a metric nor arithmetic"),
    ],
)
def test_formula_is_checked_before_any_metric_is_known(formula: str, part: str) -> None:
    for call in (lambda: check_formula(formula, MAINS), lambda: overall_score(formula, SCORES, MAINS)):
        with pytest.raises(ConfigError) as caught:
            call()
        assert str(caught.value).startswith("score: ")
    with pytest.raises(ConfigError, match=part.replace("(", r"\(")):
        check_formula(formula, MAINS)


@pytest.mark.parametrize(
    ("formula", "part"),
    [
        ("road.mio", r"'road\.mio' is neither a metric nor arithmetic \(metrics: cars\.top1, .*road\.miou"),
        ("road ** 2", "neither"),
        ("sum(road, cars)", "neither"),
        ("mean()", "neither"),
        ("mean(road, key=cars)", "neither"),
        ("'road'", "neither"),
        ("True", "neither"),
        ("road.miou.real", "neither"),
        ("+road", "neither"),
        ("road(cars)", "neither"),
        ("road < cars", "neither"),
    ],
)
def test_what_no_metric_answers_is_named(formula: str, part: str) -> None:
    with pytest.raises(ConfigError, match=part):
        overall_score(formula, SCORES, MAINS)


@pytest.mark.parametrize(
    "formula",
    ["road ** 2", "mean()", "'road'", "True", "1j", "road.miou.real", "1 / 0", "road / 0", "1e999", "9" * 400],
)
def test_formula_that_no_scores_can_answer_is_refused_before_training(formula: str) -> None:
    for metrics in (None, set(SCORES)):
        with pytest.raises(ConfigError, match=r"neither a metric nor arithmetic|no metric|no finite value"):
            check_formula(formula, MAINS, metrics)


def test_formula_that_only_some_scores_cannot_answer_is_let_through() -> None:
    for formula in ("1 / (road - cars)", "road.fwiou / road.miou", "2 / (1 / road + 1 / signs)"):
        check_formula(formula, MAINS)


def test_scores_that_make_it_divide_by_zero_leave_it_undefined(caplog: pytest.LogCaptureFixture) -> None:
    for formula in ("1 / signs", "2 / (1 / road + 1 / signs)", "signs / signs", "max(road, 1 / signs)"):
        check_formula(formula, MAINS)
        assert math.isnan(overall_score(formula, SCORES, MAINS))
    assert "score: '1 / signs' divides by zero" in caplog.text


def deep() -> str:
    return "(" * 100_000 + "1" + ")" * 100_000


@pytest.mark.parametrize("formula", [deep(), "-" * 50_000 + "1", "1" + "+1" * 50_000])
def test_absurd_formula_is_refused_and_not_a_crash(formula: str) -> None:
    for call in (lambda: check_formula(formula, MAINS), lambda: overall_score(formula, SCORES, MAINS)):
        with pytest.raises(ConfigError):
            call()


NUMBERS = st.floats(0.001, 100).map(lambda value: f"{value:.4f}")
NAMES = st.sampled_from(["road.miou", "road.fwiou", "cars.top1", "road", "cars"])
EXPRESSIONS = st.recursive(
    NUMBERS | NAMES,
    lambda inner: (
        st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda parts: f"({' '.join(parts)})")
        | st.tuples(st.sampled_from(["min", "max", "mean"]), st.lists(inner, min_size=2, max_size=3)).map(
            lambda call: f"{call[0]}({', '.join(call[1])})"
        )
        | inner.map(lambda text: f"(-{text})")
    ),
    max_leaves=12,
)


class Road(float):
    miou, fwiou = 0.5, 0.75


class Cars(float):
    top1 = 0.9


@given(EXPRESSIONS)
def test_value_is_pythons(formula: str) -> None:
    names = {"road": Road(0.5), "cars": Cars(0.9), "mean": lambda *values: sum(values) / len(values)}
    try:
        expected = eval(formula, {"__builtins__": {"min": min, "max": max}}, names)
    except ZeroDivisionError:
        assert not math.isfinite(overall_score(formula, SCORES, MAINS))
        return
    check_formula(formula, MAINS)
    assert overall_score(formula, SCORES, MAINS) == pytest.approx(expected, rel=1e-9, nan_ok=True)
