"""umbel street-corners: named points in the demonstration's street scenes, the corners of the nearest sign."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

import umbel

NAMES = ("top_left", "top_right", "bottom_right", "bottom_left")


@click.command("street-corners")
@click.argument("data", type=click.Path(path_type=Path))
def street_corners(data: Path) -> None:
    """Write DATA/det/keypoints_{train,val}.json, COCO keypoints: four corners of each picture's nearest sign."""
    files = {split: f"keypoints_{split}.json" for split in ("train", "val")}
    with umbel.writing(data / "det", files.values(), "street corners"):
        for split, name in files.items():
            path = data / "det" / name
            umbel.write_json(path, corners(umbel.read_json(data / "det" / "annotations" / f"{split}.json")))
            umbel.say(path)


def corners(coco: dict[str, Any]) -> dict[str, Any]:
    """COCO keypoints from COCO boxes; pictures without a sign are listed without an annotation."""
    annotations = []
    for image in coco["images"]:
        boxes = [a for a in coco["annotations"] if a["image_id"] == image["id"]]
        nearest = max(boxes, key=lambda box: float(box["area"]), default=None)
        if nearest is not None:
            x, y, width, height = nearest["bbox"]
            points = [x, y, 2, x + width, y, 2, x + width, y + height, 2, x, y + height, 2]
            annotations.append({**nearest, "category_id": 1, "keypoints": points, "num_keypoints": 4})
    categories = [{"id": 1, "name": "sign", "keypoints": list(NAMES)}]
    return {"images": coco["images"], "annotations": annotations, "categories": categories}
