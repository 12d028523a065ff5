"""The model card: what a model hub shows, with the scores of every task as a model index."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from umbel.config.redact import NO_SECRETS, Secrets
from umbel.contract.defaults import classes_of
from umbel.contract.task import Task

LOADING = """```python
import umbel

model = umbel.load("path/to/this/folder")
result = model.predict("photo.jpg")
result.plot()     # (H, W, 3) uint8 RGB
result.to_json()
```"""


def model_card(
    name: str,
    tasks: Mapping[str, Task[Any]],
    *,
    scores: Mapping[str, Any],
    backbone: str,
    files: list[str],
    secrets: Secrets = NO_SECRETS,
) -> str:
    """README.md with a YAML head that has a model index.

    Args:
        name: of the model.
        tasks: its tasks by name.
        scores: by "task/metric"; null where a metric is undefined.
        backbone: what it is, in a few words.
        files: the other files of the folder.
        secrets: what is redacted.
    """
    from huggingface_hub import EvalResult, ModelCardData

    backbone, scores = secrets.redact(backbone), secrets.redact(scores)
    results = [
        EvalResult(
            task_type=task.hub_tag,
            task_name=task_name,
            dataset_type="image-folder",
            dataset_name=f"{task_name}, validation split",
            metric_type=key.split("/", 1)[1],
            metric_value=round(float(value), 6),
        )
        for task_name, task in tasks.items()
        for key, value in scores.items()
        if key.startswith(f"{task_name}/") and isinstance(value, (int, float)) and math.isfinite(value)
    ]
    tags = ["umbel", "multi-task-learning", *dict.fromkeys(task.hub_tag for task in tasks.values())]
    head = ModelCardData(
        library_name="umbel", tags=tags, model_name=name if results else None, eval_results=results or None
    )
    lines = [f"# {name}", "", f"One backbone ({backbone}), {len(tasks)} tasks, trained with umbel.", ""]
    lines += ["| task | kind | classes | scores |", "|---|---|---|---|"]
    for task_name, task in tasks.items():
        listed = ", ".join(
            f"{key.split('/', 1)[1]} {value:.4f}"
            for key, value in scores.items()
            if key.startswith(f"{task_name}/") and isinstance(value, (int, float))
        )
        names = classes_of(task)
        classes = ", ".join(secrets.redact(list(names[:30]))) + (" ..." if len(names) > 30 else "")
        lines.append(f"| {task_name} | {task.config.kind} | {classes or '-'} | {listed or 'not evaluated'} |")
    lines += [
        "",
        f"Files: {', '.join(f'`{file}`' for file in files)}. `umbel.json` describes inputs, outputs and decoding.",
    ]
    if "model.safetensors" in files:
        lines += ["", LOADING]
    return f"---\n{head.to_yaml().strip()}\n---\n\n" + "\n".join(lines) + "\n"
