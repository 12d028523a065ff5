"""What a step on GPUs computes, and the share of a device's peak that is reached."""

from __future__ import annotations

from typing import Any

from umbel.contract.figures import TableFigure
from umbel.model.peaks import TERA, find_peak
from umbel.report.html import Markup
from umbel.report.panels import panel
from umbel.report.record import Record


def work_panel(record: Record) -> Markup:
    """TFLOP a step, images/s and the share of the peak; nothing for a run that was on no GPU, or was not timed.

    The share is left out for a device whose peak is not known.
    """
    seconds = sum(float(value or 0) for _, _, value in record.seconds)
    if not seconds or not record.step_images:
        return Markup("")
    rows: list[list[Any]] = []
    note = "All of a step's time counts, loading and waiting too."
    if record.step_flops:
        rate = record.step_flops / seconds
        rows += [["TFLOP a step and device", _three(record.step_flops / TERA)]]
        rows += [["TFLOP/s a device", _three(rate / TERA)]]
        precision = record.environment.get("precision", "")
        peak = find_peak(record.environment.get("device", ""))
        if peak is not None and precision in ("bf16", "fp32"):
            most = peak.rate(precision)
            rows.append(["share of the peak", f"{rate / most:.1%}"])
            note += f" The peak of {peak.name} is {most / TERA:g} TFLOP/s in {precision}" + (
                "." if precision == "bf16" else ", without TF32, which convolutions may use."
            )
        note += (
            " Convolutions, matrix products and attention of backbone and heads are counted, what a backward "
            "recomputes included; losses and the optimizer are not."
        )
    rows.append(["images/s of all devices", _three(record.step_images / seconds)])
    return panel(TableFigure("Work per step", ["what", "mean"], rows, note))


def _three(value: float) -> str:
    """Three digits, all of those before the point."""
    return f"{value:.3g}" if abs(value) < 100 else f"{value:,.0f}"
