"""The overall score: a formula over the tasks' metrics."""

from __future__ import annotations

import ast
import logging
import math
import operator
from collections.abc import Callable, Collection, Mapping, Sequence

from umbel.contract.errors import ConfigError

log = logging.getLogger(__name__)

_OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}

_FUNCTIONS: dict[str, Callable[[Sequence[float]], float]] = {
    "mean": lambda values: sum(values) / len(values),
    "min": min,
    "max": max,
}

_ALLOWED = (ast.Constant, ast.BinOp, ast.UnaryOp, ast.Call, ast.Attribute, ast.Name)


def overall_score(formula: str, scores: Mapping[str, float], main_metrics: Mapping[str, str]) -> float:
    """Evaluate a score formula.

    Args:
        formula: "mean" for the mean of the main metrics, or arithmetic over `task.metric` names with + - * / and
            mean(), min(), max(), for example "mean(road.miou, cars.top1)". A bare task name is its main metric.
        scores: values by "task/metric".
        main_metrics: main metric by task name.

    Returns:
        The value; NaN, with a warning, where these scores make it divide by zero: a run goes on, its score undefined.

    Raises:
        ConfigError: for anything else, naming the part at fault.
    """
    if formula == "mean":
        values = [scores[f"{task}/{metric}"] for task, metric in main_metrics.items()]
        return sum(values) / len(values)
    try:
        return _value(_parse(formula), scores, main_metrics)
    except RecursionError:
        raise _too_deep(formula) from None


def check_formula(formula: str, tasks: Collection[str], metrics: Collection[str] | None = None) -> None:
    """Find what is wrong with a formula before any score is known.

    Args:
        formula: see `overall_score`.
        tasks: names of the tasks.
        metrics: "task/metric" names where they are known already.

    Raises:
        ConfigError: if it is not arithmetic, has no finite value whatever the scores, or names a task or metric that
            does not exist.
    """
    if formula == "mean":
        return
    tree = _parse(formula)
    for node in ast.walk(tree):
        if metrics is not None and isinstance(node, ast.Attribute) and _metric_key(node, {}) not in metrics:
            known = ", ".join(sorted(name.replace("/", ".") for name in metrics))
            raise ConfigError(f"there is no metric '{ast.unparse(node)}'", where="score", hint=f"metrics: {known}")
        if isinstance(node, ast.Name) and node.id not in tasks and node.id not in _FUNCTIONS:
            raise ConfigError(f"there is no task '{node.id}'", where="score", hint=f"tasks: {', '.join(tasks)}")
        if isinstance(node, ast.expr) and not isinstance(node, _ALLOWED):
            raise ConfigError(f"'{ast.unparse(node)}' is neither a metric nor arithmetic", where="score")
    mains = dict.fromkeys(tasks, "")
    keys = sorted({_metric_key(node, mains) for node in ast.walk(tree) if isinstance(node, ast.expr)} - {""})
    trial = {key: math.sqrt(2 + position) for position, key in enumerate(keys)}  # no difference is 0 by chance
    try:
        value = _value(tree, trial, mains)
    except ConfigError as error:  # the trial knows no metrics to suggest
        hint = "a formula has + - * /, mean(), min() and max() over task.metric"
        raise ConfigError(error.message, where=error.where, hint=hint) from None
    except RecursionError:
        raise _too_deep(formula) from None
    if not math.isfinite(value):
        raise ConfigError(f"'{formula[:200]}' has no finite value, whatever the scores", where="score")


def _too_deep(formula: str) -> ConfigError:
    return ConfigError(f"'{formula[:40]}...' is nested too deeply", where="score")


def _parse(formula: str) -> ast.expr:
    try:
        return ast.parse(formula, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ConfigError(
            f"'{formula}' is not a formula", where="score", hint="for example (road.miou + cars.top1) / 2"
        ) from None


def _value(node: ast.expr, scores: Mapping[str, float], mains: Mapping[str, str]) -> float:
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        try:
            return float(node.value)  # type: ignore[arg-type]
        except OverflowError:
            return math.inf
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        left, right = _value(node.left, scores, mains), _value(node.right, scores, mains)
        if isinstance(node.op, ast.Div) and right == 0:
            log.warning("score: '%s' divides by zero; the score is undefined", ast.unparse(node)[:200])
            return math.nan
        return _OPERATORS[type(node.op)](left, right)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand, scores, mains)
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in _FUNCTIONS
        and node.args
        and not node.keywords
    ):
        values = [_value(argument, scores, mains) for argument in node.args]
        return math.nan if any(map(math.isnan, values)) else _FUNCTIONS[node.func.id](values)
    key = _metric_key(node, mains)
    if key in scores:
        return scores[key]
    known = ", ".join(sorted(name.replace("/", ".") for name in scores))
    raise ConfigError(
        f"'{ast.unparse(node)}' is neither a metric nor arithmetic", where="score", hint=f"metrics: {known}"
    )


def _metric_key(node: ast.expr, mains: Mapping[str, str]) -> str:
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return f"{node.value.id}/{node.attr}"
    if isinstance(node, ast.Name) and node.id in mains:
        return f"{node.id}/{mains[node.id]}"
    return ""
