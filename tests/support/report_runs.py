"""A run folder with everything a report shows, and names that try to break out of the page."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from umbel.config.redact import NO_SECRETS
from umbel.contract.figures import (
    BarFigure,
    CurveFigure,
    Example,
    ExampleFigure,
    Figure,
    Line,
    MatrixFigure,
    TableFigure,
    picture,
)
from umbel.io.run_folder import RECORD_FILE
from umbel.report.record import Record, write_record

NAMES = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "a'b&c",
    "\u202egnp.exe",
    "x" * 80,
    "ok\x00\ud800",
]


def figures(names: list[str]) -> list[Figure]:
    """One figure of each kind."""
    count = len(names)
    image = np.full((60, 90, 3), 128, np.uint8)
    shown = [picture("prediction", image), picture(names[1], image)]
    return [
        BarFigure("bars", names, [0.1 * i for i in range(count - 1)] + [None], ["9,999 objects"] * count),
        MatrixFigure("matrix", names, names, np.eye(count).tolist(), names[0]),
        CurveFigure("curves", "x", "y", [Line(name, [0.0, 1.0], [0.0, i / 9]) for i, name in enumerate(names)]),
        TableFigure("table", [*names, "number"], [[*names, 0.5], [*names, None]]),
        ExampleFigure("examples", [Example(name, shown) for name in names]),
    ]


def write_run(folder: Path, names: list[str], score: float = 0.5) -> Path:
    """A finished run of three tasks."""
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text(f"tasks: {{road: {{kind: seg}}}}\nsecret: ${{oc.env:TOKEN}} # {names[0]}\n")
    lines = [
        {"step": step, "lr": 0.1 / step, "losses": {t: {"total": 2 / step, "part": 1 / step} for t in "abc"}}
        for step in range(1, 201)
    ]
    lines += [{"step": s, "scores": {"a/miou": score * s / 200, "b/top1": 0.9, "score": score}} for s in (100, 200)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + "{cut")
    task = {"kind": "seg", "main": "miou", "train": 70, "val": 9, "input_size": [64, 96], "images": 4}
    record = Record(
        steps=[200, 200],
        minutes=1.5,
        parameters=[2_000_000, 1_000_000],
        tasks={"a": task, "b": {**task, "main": "top1"}, "c": task},
        seconds=[["data", "", 0.01], ["forward", "a", 0.2], ["backward", "a", 0.3], ["optimizer", "", 0.05]],
        timed_steps=199,
        figures={"a": figures(names), "b": []},
        images={"a": 9},
        faults={"b": f"ValueError: {names[0]}"},
        environment={"device": "CPU", "Python": names[1]},
        plugins=[["task", names[0], "umbel", "1.0"]],
    )
    write_record(folder / RECORD_FILE, record, NO_SECRETS)
    return folder
