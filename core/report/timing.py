"""Time per step as a stacked bar and a table."""

from __future__ import annotations

from typing import Any

from umbel.report.charts import colour_class
from umbel.report.html import Markup, tag
from umbel.report.panels import table
from umbel.report.record import Record

PARTS = ("data", "forward", "backward", "wait", "optimizer")


def timing_panel(record: Record) -> Markup:
    """Where a step's time goes: by part, and forward and backward by task."""
    seconds = {(str(part), str(task)): float(value or 0) for part, task, value in record.seconds}
    total = sum(seconds.values())
    if not total:
        return Markup("")
    by_part = {part: sum(value for (of, _), value in seconds.items() if of == part) for part in PARTS}
    shown = [(part, value) for part, value in by_part.items() if value / total >= 0.0005]
    bar, keys = [], []
    for index, (part, value) in enumerate(shown):
        colour, says = colour_class(index), f"{part} {_milliseconds(value)} ({value / total:.0%})"
        bar.append(tag("i", {"class": colour, "style": f"width:{100 * value / total:.2f}%", "title": says}))
        keys.append(tag("li", {}, tag("i", {"class": f"key {colour}"}), says))
    rows: list[list[Any]] = []
    for name, task in record.tasks.items():
        forward, backward = seconds.get(("forward", name), 0.0), seconds.get(("backward", name), 0.0)
        share = (forward + backward) / total
        images = task.get("images", 0) / (forward + backward) if forward + backward else None
        rows.append([name, _milliseconds(forward), _milliseconds(backward), f"{share:.0%}", images])
    note = f"Mean of {record.timed_steps} steps, the first left out; {_milliseconds(total)} per step."
    if record.environment.get("device") not in (None, "CPU"):
        note += " On an accelerator forward and backward are the time to queue the work; the device is awaited in wait."
    columns = ["task", "forward", "backward", "share of step", "images/s alone"]
    return tag(
        "figure",
        {"class": "panel wide"},
        tag("figcaption", {}, "Time per step"),
        tag("div", {"class": "stack", "role": "img", "aria-label": "share of each part"}, *bar),
        tag("ul", {"class": "legend"}, *keys),
        table(columns, rows),
        tag("p", {"class": "note"}, note),
    )


def _milliseconds(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{1000 * seconds:.1f} ms" if seconds < 0.1 else f"{1000 * seconds:.0f} ms"
