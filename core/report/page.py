"""The page of one run."""

from __future__ import annotations

from typing import Any

from umbel.contract.figures import CurveFigure, TableFigure
from umbel.report.frame import anchor, document, panels, tile
from umbel.report.html import Markup, join, tag
from umbel.report.numbers import short
from umbel.report.panels import panel, table
from umbel.report.run_report import RunReport
from umbel.report.timing import timing_panel
from umbel.report.work import work_panel


def run_page(report: RunReport) -> str:
    """A whole HTML document: no script, no reference to anything outside itself."""
    tasks = report.tasks
    sections = [("Scores", anchor("scores")), *((name, anchor(name, "task")) for name in tasks)]
    sections += [("Training", anchor("training")), ("Run", anchor("run"))]
    links = [tag("a", {"href": f"#{where}"}, name) for name, where in sections]
    head = tag("header", {}, tag("h1", {}, report.title), _lead(report), tag("nav", {}, *links), _tiles(report))
    body = [head, _scores(report)]
    body += [_task(report, name) for name in tasks]
    body += [_training(report), _run(report)]
    return document(report.title, join(*body))


def _lead(report: RunReport) -> Markup:
    record = report.record
    done, total = record.steps
    said = [f"{done:,} of {total:,} steps"] if total else []
    said += [f"{record.minutes:.1f} minutes"] if record.minutes else []
    said += [f"{record.parameters[0] / 1e6:.1f} M parameters"] if record.parameters[0] else []
    said += [text for key in ("device", "precision") if (text := record.environment.get(key))]
    lead = tag("p", {"class": "lead"}, " · ".join(said))
    if record.state in ("finished", ""):
        return lead
    return join(lead, tag("p", {"class": "failed"}, record.state))


def _tiles(report: RunReport) -> Markup:
    keys = ["score", *(report.main_score(name) for name in report.tasks)]
    tiles = []
    for key in keys:
        best = report.history.best(key)
        if best is not None:
            several = len(report.history.scores[key].x) > 1
            more = f"best {short(best[0])} at step {best[1]:,}" if several else f"at step {best[1]:,}"
            tiles.append(tile("overall score" if key == "score" else key, short(report.history.last(key)), more))
    return tag("div", {"class": "tiles"}, *tiles)


def _scores(report: RunReport) -> Markup:
    history = report.history
    rows: list[list[Any]] = []
    for key in history.scores:
        best = history.best(key) or (None, None)
        rows.append([key, history.last(key), best[0], best[1]])
    shown = [panel(TableFigure("Last and best", ["metric", "last", "best", "at step"], rows))] if rows else []
    for task in ["", *report.tasks]:
        of_task = [line for key, line in history.scores.items() if key.rpartition("/")[0] == task and len(line.x) > 1]
        if of_task:
            title = f"{task}: scores" if task else "Overall score"
            shown.append(panel(CurveFigure(title, "step", "score", of_task)))
    return tag("section", {"id": anchor("scores")}, tag("h2", {}, "Scores"), panels(shown)) if shown else Markup("")


def _task(report: RunReport, name: str) -> Markup:
    record = report.record
    about = record.tasks.get(name, {})
    said = f"{about['kind']}: {about['train']:,} training and {about['val']:,} validation images" if about else ""
    shown = [panel(figure) for figure in record.figures.get(name, [])]
    losses = list(report.history.losses.get(name, {}).values())
    if losses:
        lines = losses[:1] if len(losses) == 2 and losses[0].y == losses[1].y else losses
        shown.insert(min(2, len(shown)), panel(CurveFigure("Training loss", "step", "loss", lines)))
    shown += [panel(figure) for figure in record.data.get(name, [])]
    fault = record.faults.get(name)
    seen, there = record.images.get(name), about.get("val")
    notes = [f"No figures: {fault}"] if fault else []
    if seen and there and seen < there:
        notes.append(f"The figures are of the {seen:,} images that the first process evaluated.")
    return tag(
        "section",
        {"id": anchor(name, "task")},
        tag("h2", {}, name),
        tag("p", {"class": "lead"}, said),
        *(tag("p", {"class": "note"}, note) for note in notes),
        panels(shown),
    )


def _training(report: RunReport) -> Markup:
    history, record = report.history, report.record
    rows: list[list[Any]] = []
    for name, task in record.tasks.items():
        seen = record.steps[0] * task.get("images", 0)
        size = "×".join(map(str, task["input_size"]))
        rows.append([name, task["train"], task["val"], size, task.get("images"), seen, seen / max(1, task["train"])])
    columns = ["task", "training images", "validation images", "input", "images a step", "images seen", "epochs"]
    shown = [timing_panel(record), work_panel(record)]
    if rows:
        shown.append(panel(TableFigure("Data", columns, rows)))
    if history.lr.x:
        shown.append(panel(CurveFigure("Learning rate", "step", "learning rate", [history.lr])))
    return tag("section", {"id": anchor("training")}, tag("h2", {}, "Training"), panels(shown))


def _run(report: RunReport) -> Markup:
    record = report.record
    parts = [tag("h2", {}, "Run")]
    recipe = tag("details", {}, tag("summary", {}, "Recipe"), tag("pre", {}, report.recipe))
    parts.append(tag("div", {"class": "panel"}, recipe))
    shown = []
    if record.environment:
        listed: list[list[Any]] = [[key, value] for key, value in record.environment.items()]
        shown.append(_plain("Environment", table(["what", "version"], listed)))
    if record.plugins:
        shown.append(_plain("Plugins", table(["role", "name", "distribution", "version"], record.plugins)))
    return tag("section", {"id": anchor("run")}, *parts, tag("div", {"style": "height:14px"}), panels(shown))


def _plain(title: str, body: Markup) -> Markup:
    return tag("figure", {"class": "panel"}, tag("figcaption", {}, title), body)
