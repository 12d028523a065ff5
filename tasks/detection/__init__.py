"""Object detection with a YOLOv5-style head on the CSP-PAN neck: the built-in kind "detection"."""

from __future__ import annotations

from umbel import hookimpl


@hookimpl
def umbel_tasks() -> dict[str, str]:
    return {"detection": "umbel.tasks.detection.task:Detection"}
