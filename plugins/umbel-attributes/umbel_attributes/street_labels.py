"""umbel street-labels: attributes of the demonstration's street scenes, from the boxes of their signs."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import click

import umbel

COLUMNS = ("file", "signs", "nearest_sign", "nearest_height")


@click.command("street-labels")
@click.argument("data", type=click.Path(path_type=Path))
def street_labels(data: Path) -> None:
    """Write DATA/det/scene_{train,val}.csv: number of signs, kind and height of the nearest, gaps without one."""
    files = {split: f"scene_{split}.csv" for split in ("train", "val")}
    with umbel.writing(data / "det", files.values(), "street labels"):
        for split, name in files.items():
            _write(data, split, data / "det" / name)


def _write(data: Path, split: str, path: Path) -> None:
    rows = label_rows(umbel.read_json(data / "det" / "annotations" / f"{split}.json"))
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    umbel.write_bytes(path, text.getvalue().encode())
    umbel.say(path)


def label_rows(coco: dict[str, Any]) -> list[tuple[str, int, str, str]]:
    """One row an image of a COCO file; the nearest sign is the one of the largest area."""
    names = {category["id"]: category["name"] for category in coco["categories"]}
    rows = []
    for image in coco["images"]:
        boxes = [a for a in coco["annotations"] if a["image_id"] == image["id"]]
        nearest = max(boxes, key=lambda box: float(box["area"]), default=None)
        kind, height = (names[nearest["category_id"]], f"{nearest['bbox'][3]:.1f}") if nearest else ("", "")
        rows.append((image["file_name"], len(boxes), kind, height))
    return rows
