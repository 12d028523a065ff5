"""A table of variants as CSV, as JSON, and a searched result as a recipe."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from umbel.config.literals import literal
from umbel.config.read import parse_overrides
from umbel.contract.task_config import TtaConfig
from umbel.evaluate.evaluate import scores_to_json
from umbel.evaluate.tta_table import Row
from umbel.io.files import write_bytes, write_json
from umbel.io.text import csv_cell

Tables = Mapping[str, Sequence[Row]]  # by task name


def write_csv(path: Path, tables: Tables, mains: Mapping[str, str]) -> None:
    """One line a variant of every task; a metric that a task does not have is an empty cell.

    Args:
        path: the file.
        tables: rows by task name.
        mains: main metric by task name.
    """
    metrics = list(dict.fromkeys(key for rows in tables.values() for row in rows for key in row.scores))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["task", "name", "views", "main_metric", "main", "cost", "megapixels", "seconds", *metrics])
    for task, rows in tables.items():
        for row in rows:
            writer.writerow(
                [
                    task,
                    csv_cell(row.name),
                    row.views,
                    mains[task],
                    row.scores[mains[task]],
                    row.cost,
                    row.megapixels,
                    row.seconds,
                ]
                + [row.scores.get(key, "") for key in metrics]
            )
    write_bytes(path, text.getvalue().encode())


def write_rows_json(path: Path, tables: Tables, mains: Mapping[str, str]) -> None:
    """{task: {"main_metric": ..., "rows": [...]}} with all that a row has; undefined scores are null."""
    content = {
        task: {
            "main_metric": mains[task],
            "rows": [{**asdict(row), "scores": scores_to_json(row.scores)} for row in rows],
        }
        for task, rows in tables.items()
    }
    write_json(path, content)


def write_recipe(path: Path, parent: str | Path, overrides: Sequence[str], chosen: Mapping[str, TtaConfig]) -> None:
    """A recipe that inherits from another and has the chosen test-time augmentation.

    Args:
        path: the file.
        parent: path of the recipe it inherits from, written relative to the new one; a registered name stays as it is.
        overrides: changes to the parent that the choice was made with; they are written too.
        chosen: by task name.
    """
    where = os.path.relpath(parent, path.resolve().parent) if Path(parent).is_file() else str(parent)
    tasks: dict[str, Any] = {name: {"tta": asdict(tta)} for name, tta in chosen.items()}
    tree = OmegaConf.merge({"defaults": literal(where)}, parse_overrides(overrides), {"tasks": tasks})
    write_bytes(path, OmegaConf.to_yaml(tree).encode())
