"""Semantic segmentation: UPerNet with an auxiliary FCN head, evaluated by mean IoU."""

from __future__ import annotations

from umbel import hookimpl


@hookimpl
def umbel_tasks() -> dict[str, str]:
    return {"segmentation": "umbel.tasks.segmentation.task:Segmentation"}
