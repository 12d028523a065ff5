"""The page of several runs beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from umbel.contract.figures import CurveFigure, Line, TableFigure
from umbel.report.frame import document, panels, tile
from umbel.report.html import Markup, join, tag
from umbel.report.numbers import short
from umbel.report.panels import panel
from umbel.report.run_report import RunReport


def comparison_page(reports: Sequence[RunReport]) -> str:
    """A whole HTML document about two or more runs; differences are to the first."""
    names = _distinct([report.name for report in reports])
    lead = tag("p", {"class": "lead"}, f"{len(reports)} runs; differences are to {names[0]}")
    tiles = [
        tile(name, short(report.history.last("score")), f"score after {report.record.steps[0]:,} steps")
        for name, report in zip(names, reports, strict=True)
    ]
    head = tag("header", {}, tag("h1", {}, " · ".join(names)), lead, tag("div", {"class": "tiles"}, *tiles))
    sections = [
        _section("Scores", [panel(_scores(names, reports)), *_score_curves(names, reports)]),
        _section("Training loss", _loss_curves(names, reports)),
        _section("Cost", [panel(_cost(names, reports))]),
        _section("What differs in the recipes", [panel(_differences(names, reports))]),
    ]
    return document(" · ".join(names), join(head, *sections))


def _section(title: str, shown: list[Markup]) -> Markup:
    return tag("section", {}, tag("h2", {}, title), panels(shown)) if shown else Markup("")


def _scores(names: list[str], reports: Sequence[RunReport]) -> TableFigure:
    rows: list[list[Any]] = []
    for key in dict.fromkeys(key for report in reports for key in report.history.scores):
        values = [report.history.last(key) for report in reports]
        row: list[Any] = [key, values[0]]
        for value in values[1:]:
            row += [value, f"{value - values[0]:+.4f}" if value is not None and values[0] is not None else "–"]
        rows.append(row)
    columns = ["metric", names[0], *(text for name in names[1:] for text in (name, "difference"))]
    return TableFigure("Last scores", columns, rows)


def _score_curves(names: list[str], reports: Sequence[RunReport]) -> list[Markup]:
    shown = []
    for key in dict.fromkeys(key for report in reports for key in report.history.scores):
        lines = _lines(names, [report.history.scores.get(key) for report in reports])
        if any(len(line.x) > 1 for line in lines):
            shown.append(panel(CurveFigure(key, "step", "score", lines)))
    return shown


def _loss_curves(names: list[str], reports: Sequence[RunReport]) -> list[Markup]:
    tasks = dict.fromkeys(task for report in reports for task in report.history.losses)
    return [
        panel(CurveFigure(task, "step", "loss", _lines(names, [_total(report, task) for report in reports])))
        for task in tasks
    ]


def _total(report: RunReport, task: str) -> Line | None:
    parts = report.history.losses.get(task, {})
    return parts.get("total") or next(iter(parts.values()), None)


def _lines(names: list[str], found: Sequence[Line | None]) -> list[Line]:
    return [Line(name, line.x if line else [], line.y if line else []) for name, line in zip(names, found, strict=True)]


def _cost(names: list[str], reports: Sequence[RunReport]) -> TableFigure:
    rows: list[list[Any]] = []
    for name, report in zip(names, reports, strict=True):
        record = report.record
        step = sum(float(value or 0) for *_, value in record.seconds)
        rows.append(
            [name, record.steps[0], record.minutes or None, 1000 * step or None, record.parameters[0] / 1e6 or None]
        )
    return TableFigure("Steps, time, parameters", ["run", "steps", "minutes", "ms per step", "M parameters"], rows)


def _differences(names: list[str], reports: Sequence[RunReport]) -> TableFigure:
    flat = [_flat(report.recipe) for report in reports]
    rows: list[list[Any]] = []
    for key in sorted({key for one in flat for key in one}):
        values = [one.get(key, "–") for one in flat]
        if len(set(values)) > 1:
            rows.append([key, *values])
    note = "" if rows else "The recipes are the same."
    return TableFigure("Keys", ["key", *names], rows, note)


def _flat(recipe: str) -> dict[str, str]:
    """Dotted keys and values of a recipe as written; nothing for a file that is no YAML."""
    try:
        tree = OmegaConf.to_container(OmegaConf.create(recipe), resolve=False)
    except (OmegaConfBaseException, YAMLError, ValueError):
        return {}
    flat: dict[str, str] = {}

    def walk(value: Any, prefix: str) -> None:
        if isinstance(value, dict) and value:
            for key, item in value.items():
                walk(item, f"{prefix}.{key}" if prefix else str(key))
        else:
            flat[prefix] = str(value)

    walk(tree, "")
    return flat


def _distinct(names: list[str]) -> list[str]:
    """The names, numbered where they are alike."""
    return [name if names.count(name) == 1 else f"{name} ({i + 1})" for i, name in enumerate(names)]
