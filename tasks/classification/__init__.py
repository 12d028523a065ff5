"""Image classification: a convolution, CBAM attention and a linear layer, evaluated by top-1 accuracy."""

from __future__ import annotations

from umbel import hookimpl


@hookimpl
def umbel_tasks() -> dict[str, str]:
    return {"classification": "umbel.tasks.classification.task:Classification"}
