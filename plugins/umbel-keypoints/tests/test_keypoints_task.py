"""The keypoints task keeps umbel's contract; left and right trade places in a mirror."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from umbel_keypoints.street_corners import corners
from umbel_keypoints.task import Keypoints, KeypointsOptions, Points, mirror, swaps

from umbel import DataError, Sample, Task, TaskConfig, View, keyed_generator, write_image, write_json
from umbel.testing import TaskContract

NAMES = ["left_eye", "right_eye", "nose"]


def write_faces(folder: Path) -> dict[str, Any]:
    """Faces as an animal has them: a blue left eye, a green right eye and a red nose below, left of the middle."""
    for split in ("train", "val"):
        images, annotations = [], []
        for index in range(2):
            rng = keyed_generator(split, index)
            image = rng.integers(90, 120, (64, 96, 3)).astype(np.uint8)
            x, y = int(rng.integers(16, 40)), int(rng.integers(12, 30))
            places = [(x, y, (30, 30, 230)), (x + 24, y, (30, 220, 30)), (x + 8, y + 20, (230, 30, 30))]
            for px, py, colour in places:
                image[py - 3 : py + 3, px - 3 : px + 3] = colour
            write_image(folder / split / f"{index}.png", image)
            points = [value for px, py, _ in places for value in (px, py, 2)]
            box = {"bbox": [x - 4, y - 4, 32, 28], "area": 32 * 28, "keypoints": points}
            images.append({"id": index, "file_name": f"{index}.png", "width": 96, "height": 64})
            annotations.append({"id": index, "image_id": index, "category_id": 1, **box})
        categories = [{"id": 1, "name": "face", "keypoints": NAMES}]
        content = {"images": images, "annotations": annotations, "categories": categories}
        write_json(folder / f"keypoints_{split}.json", content)
    return {"root": str(folder), "width": 16}


class TestKeypoints(TaskContract):
    task = Keypoints
    overfit_steps = 120

    def write_data(self, folder: Path) -> dict[str, Any]:
        return write_faces(folder)

    def ideal(self, task: Task[Any], sample: Sample, view: View) -> Any:
        """A heat map with its mass around the point, so that decoding is tested too."""
        height, width = view.canvas or view.size
        logits = torch.full((1, 3, height // 4, width // 4), -30.0)
        factor = torch.tensor([view.size[1] / sample.size[1], view.size[0] / sample.size[0]])
        points = sample.target.points_K2 * factor
        order = [1, 0, 2] if view.hflip else [0, 1, 2]
        for channel, source in enumerate(order):
            x, y = points[source].tolist()
            x = view.size[1] - x if view.hflip else x
            logits[0, channel, int(y / 4), int(x / 4)] = 30.0
        return task.decode(logits, view)[0]

    def empty(self, task: Task[Any], sample: Sample) -> Sample:
        return replace(sample, target=Points(torch.zeros(3, 2), torch.zeros(3)))

    def oracle(self, task: Task[Any], predictions: list[Any], targets: list[Any]) -> dict[str, float]:
        right, similar, count = 0, 0.0, 0
        for prediction, target in zip(predictions, targets, strict=True):
            for (px, py), (tx, ty) in zip(prediction.points_K2.tolist(), target.points_K2.tolist(), strict=True):
                away = math.hypot(px - tx, py - ty) / math.hypot(32, 28)
                right, similar, count = right + (away <= 0.1), similar + math.exp(-(away**2) / 0.02), count + 1
        return {"pck": right / count, "oks": similar / count}


def new_task(folder: Path, **options: Any) -> Keypoints:
    config = TaskConfig(kind="keypoints", input_size=(64, 96))
    return Keypoints("face", config, KeypointsOptions(root=str(folder), **options))


def test_left_and_right_trade_places() -> None:
    assert swaps(NAMES) == [1, 0, 2]
    assert swaps(["top_left", "top_right", "bottom_right", "bottom_left"]) == [1, 0, 3, 2]
    assert swaps(["left_ear", "tail"]) == [0, 1]  # no partner: it keeps its name
    points = Points(torch.tensor([[10.0, 1.0], [30.0, 2.0], [15.0, 3.0]]), torch.tensor([0.1, 0.2, 0.3]))
    mirrored = mirror(points, 96, swaps(NAMES))
    assert mirrored.points_K2.tolist() == [[66.0, 2.0], [86.0, 1.0], [81.0, 3.0]]
    assert mirrored.scores_K.tolist() == pytest.approx([0.2, 0.1, 0.3])
    again = mirror(mirrored, 96, swaps(NAMES))
    assert torch.equal(again.points_K2, points.points_K2)


def test_training_flip_keeps_the_colour_under_the_point(tmp_path: Path) -> None:
    """The left eye of a mirrored face is what was its right eye: the pixels move, the name follows the side."""
    write_faces(tmp_path)
    task = new_task(tmp_path, hflip=1.0, jitter=0.0)
    flipped = task.augment(task.dataset("train")[0], keyed_generator(0))
    colours = [tuple(flipped.image[int(y), int(x) - 1]) for x, y in flipped.target.points_K2.tolist()]
    assert colours == [(30, 220, 30), (30, 30, 230), (230, 30, 30)]
    assert flipped.target.points_K2[0, 0] < flipped.target.points_K2[1, 0]


def test_a_point_between_cells_is_found_within_a_pixel(tmp_path: Path) -> None:
    write_faces(tmp_path)
    task = new_task(tmp_path)
    x, y = 41.3, 22.7
    columns, rows = torch.arange(24) * 4 + 2.0, torch.arange(16) * 4 + 2.0
    logits = -((columns[None] - x) ** 2 + (rows[:, None] - y) ** 2) / (2 * 4.0**2)
    (found,) = task.decode(logits.expand(1, 3, 16, 24), View((64, 96)))
    assert (found.points_K2 - torch.tensor([x, y])).abs().max() < 1.0


def test_unlabelled_points_count_nowhere(tmp_path: Path) -> None:
    write_faces(tmp_path)
    metric = new_task(tmp_path).metric()
    points = torch.tensor([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])
    metric.update([Points(points + 90, torch.ones(3))], [Points(points, torch.tensor([0.0, 0.0, 0.0]), 10.0)])
    metric.update([Points(points, torch.ones(3))], [Points(points, torch.tensor([1.0, 0.0, 0.0]), 10.0)])
    assert float(metric.compute()["pck"]) == 1.0


@pytest.mark.parametrize("damage", [{"images": 3}, {"annotations": [{}]}, {"categories": []}])
def test_damaged_files_are_named(tmp_path: Path, damage: dict[str, Any]) -> None:
    from umbel import read_json

    write_faces(tmp_path)
    path = tmp_path / "keypoints_train.json"
    write_json(path, {**read_json(path), **damage})
    with pytest.raises(DataError, match=r"keypoints_train\.json"):
        new_task(tmp_path).dataset("train")


def test_street_corners_are_those_of_the_nearest_sign() -> None:
    boxes = [
        {"id": 1, "image_id": 1, "category_id": 3, "bbox": [1, 2, 3, 4], "area": 12},
        {"id": 2, "image_id": 1, "category_id": 4, "bbox": [10, 20, 30, 40], "area": 1200},
    ]
    images = [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "b.jpg"}]
    made = corners({"images": images, "annotations": boxes, "categories": []})
    (entry,) = made["annotations"]
    assert entry["keypoints"] == [10, 20, 2, 40, 20, 2, 40, 60, 2, 10, 60, 2]
    assert made["categories"][0]["keypoints"] == ["top_left", "top_right", "bottom_right", "bottom_left"]
