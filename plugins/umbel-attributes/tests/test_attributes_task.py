"""The attributes task keeps umbel's contract; gaps are masked, and bad tables are named."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from umbel_attributes.street_labels import label_rows
from umbel_attributes.task import Attributes, AttributesOptions

from umbel import DataError, Sample, Task, TaskConfig, View, keyed_generator, write_image
from umbel.testing import TaskContract

COLOURS = {"blue": (40, 60, 210), "green": (40, 200, 60), "red": (220, 40, 40)}


def write_table(folder: Path) -> dict[str, Any]:
    """Squares of a colour on grey; some colours and all sizes of "green" are missing."""
    (folder / "images").mkdir()
    for split in ("train", "val"):
        lines = ["file,colour,side"]
        for index, (colour, rgb) in enumerate(COLOURS.items()):
            side = 16 + 12 * index
            image = keyed_generator(split, index).integers(100, 130, (64, 96, 3)).astype(np.uint8)
            image[8 : 8 + side, 20 : 20 + side] = rgb
            name = f"{split}{index}.png"
            write_image(folder / "images" / name, image)
            lines.append(f"{name},{'?' if colour == 'red' and split == 'val' else colour},{'' if index == 1 else side}")
        (folder / f"{split}.csv").write_text("\n".join(lines) + "\n")
    return {"root": str(folder), "categorical": ["colour"], "numeric": ["side"]}


class TestAttributes(TaskContract):
    task = Attributes
    batch_size = 3

    def write_data(self, folder: Path) -> dict[str, Any]:
        return write_table(folder)

    def ideal(self, task: Task[Any], sample: Sample, view: View) -> Any:
        colour, side = sample.target["colour"], sample.target["side"]
        probabilities = torch.full((3,), 1 / 3) if colour is None else torch.eye(3)[colour]
        return {"colour": probabilities, "side": torch.tensor([20.0 if side is None else side])}

    def empty(self, task: Task[Any], sample: Sample) -> Sample:
        return replace(sample, target={"colour": None, "side": None})

    def oracle(self, task: Task[Any], predictions: list[Any], targets: list[Any]) -> dict[str, float]:
        pairs = list(zip(predictions, targets, strict=True))
        hits = [int(p["colour"].argmax()) == t["colour"] for p, t in pairs if t["colour"] is not None]
        errors = [abs(float(p["side"]) - t["side"]) for p, t in pairs if t["side"] is not None]
        accuracy, error = sum(hits) / len(hits), sum(errors) / len(errors)
        spread = 12.0  # of 16 and 40 around their median 28
        return {"acc_colour": accuracy, "mae_side": error, "skill": (accuracy + 1 - error / spread) / 2}


def new_task(folder: Path, **changes: Any) -> Attributes:
    options = {"root": str(folder), "categorical": ["colour"], "numeric": ["side"], **changes}
    return Attributes("things", TaskConfig(kind="attributes", input_size=(64, 96)), AttributesOptions(**options))


def test_gaps_change_neither_loss_nor_gradient(tmp_path: Path) -> None:
    write_table(tmp_path)
    task = new_task(tmp_path)
    whole = {"colour": torch.tensor([0, -1]), "side": torch.tensor([16.0, math.nan])}
    alone = {"colour": torch.tensor([0]), "side": torch.tensor([16.0])}
    output = {"colour": torch.randn(2, 3, requires_grad=True), "side": torch.randn(2, 1, requires_grad=True)}
    first = {name: value[:1] for name, value in output.items()}
    total = task.loss(output, whole).total
    assert float(total.detach()) == pytest.approx(float(task.loss(first, alone).total.detach()))
    total.backward()
    assert all((value.grad is not None) and bool((value.grad[1] == 0).all()) for value in output.values())


def test_classes_and_scales_come_from_the_training_table(tmp_path: Path) -> None:
    write_table(tmp_path)
    assert new_task(tmp_path).inferred_options() == {
        "classes": {"colour": ["blue", "green", "red"]},
        "scales": {"side": [28.0, 12.0]},
    }


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("a.png,pink,3", r"val.csv: row 2: colour is 'pink', which is no known category \(known: blue, green, red\)"),
        ("a.png,red,tall", "val.csv: row 2: side is 'tall', which is no number"),
        ("a.png,red,inf", "val.csv: row 2: side is inf"),
        ("a.png,red", "line 2 has another number of values than columns"),
        ("a.png,red,3,4", "line 2 has another number of values than columns"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, row: str, said: str) -> None:
    write_table(tmp_path)
    (tmp_path / "val.csv").write_text(f"file,colour,side\n{row}\n")
    with pytest.raises(DataError, match=said):
        new_task(tmp_path).dataset("val")


def test_missing_columns_and_columns_of_gaps_are_named(tmp_path: Path) -> None:
    write_table(tmp_path)
    with pytest.raises(DataError, match=r"has no column 'weight' \(columns: file, colour, side\)"):
        new_task(tmp_path, numeric=["weight"]).dataset("train")
    (tmp_path / "train.csv").write_text("file,colour,side\ntrain0.png,,\n")
    with pytest.raises(DataError, match="column 'colour' holds gaps only"):
        new_task(tmp_path).inferred_options()


def test_names_that_lead_out_are_refused(tmp_path: Path) -> None:
    write_table(tmp_path)
    (tmp_path / "val.csv").write_text("file,colour,side\n../../etc/passwd,red,3\n")
    with pytest.raises(DataError, match="does not name a file inside"):
        new_task(tmp_path).dataset("val")[0]


def test_street_labels_have_gaps_where_there_is_no_sign() -> None:
    box = {"id": 1, "image_id": 1, "category_id": 7, "bbox": [1, 2, 10, 20], "area": 200}
    small = {"id": 2, "image_id": 1, "category_id": 8, "bbox": [1, 2, 3, 4], "area": 12}
    coco = {
        "images": [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "b.jpg"}],
        "annotations": [small, box],
        "categories": [{"id": 7, "name": "stop"}, {"id": 8, "name": "yield"}],
    }
    assert label_rows(coco) == [("a.jpg", 2, "stop", "20.0"), ("b.jpg", 0, "", "")]


def test_the_real_street_counts_can_be_read(tmp_path: Path) -> None:
    import os

    shared = Path(os.environ.get("UMBEL_SHARED", Path(__file__).resolve().parents[4] / "shared"))
    root = shared / "data" / "extra" / "street_counts"
    if not root.is_dir():
        pytest.skip("the real data is not here: put it at ../shared or set UMBEL_SHARED")
    task = new_task(root, categorical=[], numeric=["n_vehicle", "n_pedestrian", "n_motorbike", "n_obstacle"])
    train, val = task.dataset("train"), task.dataset("val")
    assert (len(train), len(val)) == (121, 53)
    assert train[0].target == {"n_vehicle": 1.0, "n_pedestrian": 0.0, "n_motorbike": 0.0, "n_obstacle": 0.0}
