"""Classes that no training sample shows are told before the first step."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch.utils.data import Dataset
from toys import BrightTask, ToyPlugin

import umbel
from umbel import DataError, Sample, Task, hookimpl, write_image
from umbel.config.load import load_recipe
from umbel.data.datasets import HoldoutSubset
from umbel.data.presence import FEWEST, absent_classes
from umbel.registry.plugins import Plugin, Plugins
from umbel.training.prepare import prepare
from umbel.training.session import train
from umbel.workflows.check.check import check_data


class Telling(BrightTask):
    """Its samples show their number, modulo three; the class "rare" only where `rare_at` says."""

    rare_at: int = -1

    def prediction_classes(self) -> Sequence[str]:
        return ["0", "1", "2", "rare"]

    def classes_shown(self, dataset: Dataset[Sample], index: int) -> Iterable[str] | None:
        return [str(index % 3)] + ["rare"] * (index == self.rare_at)


class Broken(Telling):
    def classes_shown(self, dataset: Dataset[Sample], index: int) -> Iterable[str] | None:
        raise DataError("cannot be read")


def made(kind: type[BrightTask], count: int = 12) -> Task[Any]:
    return kind("it", umbel.TaskConfig(kind="bright", input_size=(16, 16)), kind.Options(count=count))


def test_absent_classes_in_order() -> None:
    task = made(Telling)
    assert absent_classes(task, task.dataset("train"), 2.0) == (["rare"], 12)
    assert absent_classes(task, HoldoutSubset(task.dataset("train"), [0, 3, 6]), 2.0) == (["1", "2", "rare"], 3)
    task.rare_at = 7  # type: ignore[attr-defined]
    found, looked = absent_classes(task, task.dataset("train"), 2.0)
    assert not found
    assert looked <= 12


def test_who_does_not_tell_is_not_blamed() -> None:
    assert absent_classes(made(BrightTask), made(BrightTask).dataset("train"), 2.0) == ([], 0)
    broken = made(Broken)
    assert absent_classes(broken, broken.dataset("train"), 2.0)[0] == ["0", "1", "2", "rare"]


def test_little_time_says_nothing_about_much_data() -> None:
    large, small = made(Telling, 10 * FEWEST), made(Telling, 1)
    assert absent_classes(large, large.dataset("train"), 0.0) == ([], 1)
    assert absent_classes(small, small.dataset("train"), 0.0) == (["1", "2", "rare"], 1)


def test_train_warns_once_before_the_first_step(
    tmp_path: Path, recipe_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Plug(ToyPlugin):
        @hookimpl
        def umbel_tasks(self) -> dict[str, type[Task[Any]]]:
            return {"bright": Telling}

        @hookimpl
        def umbel_step_finished(self, step: int) -> None:
            logging.getLogger("test").info("step %d", step)

    plugins = Plugins()
    plugins.register(Plug(), Plugin("toy-tasks", "1.0", "toys"))
    loaded = load_recipe(str(recipe_file), ["train.steps=2", "train.save_every=1"], plugins)
    with caplog.at_level(logging.INFO):
        train(prepare(loaded, tmp_path / "out"))
    lines = [record.getMessage() for record in caplog.records]
    warned = [line for line in lines if "not learnt" in line]
    assert warned == [
        f"tasks.{name}: none of the {count} training samples shows 'rare': what is not shown is not learnt; see umbel "
        "check --data"
        for name, count in (("first", 12), ("second", 7))
    ]
    assert lines.index(warned[-1]) < lines.index("step 1")


def _built(kind: str, root: Path) -> Task[Any]:
    config = {"kind": kind, "batch_size": 1, "input_size": [32, 32], "options": {"root": str(root)}}
    _, tasks = umbel.open_tasks({"tasks": {"it": config}, "backbone": {"options": {"model": "resnet18"}}})
    return tasks["it"]


def classified(root: Path) -> Task[Any]:
    for split in ("train", "val"):
        for name in "ab":
            (root / split / name).mkdir(parents=True)
    for split, name in (("train", "a"), ("val", "a")):
        write_image(root / split / name / f"{split}.png", np.zeros((9, 9, 3), np.uint8))
    (root / "list").mkdir()
    for split in ("train", "val"):
        (root / "list" / split).mkdir()
        write_image(root / "list" / split / "x.png", np.full((9, 9, 3), len(split), np.uint8))
        (root / "list" / f"{split}.txt").write_text("x.png 0\n")
    (root / "list" / "classes.txt").write_text("a\nb\n")
    return _built("classification", root / "list")


def detected(root: Path) -> Task[Any]:
    for number, split in enumerate(("train", "val")):
        write_image(root / split / "x.png", np.full((9, 9, 3), number, np.uint8))
        boxes = [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 5, 5], "iscrowd": 0},
            {"id": 2, "image_id": 1, "category_id": 2, "bbox": [0, 0, 5, 5], "iscrowd": 1},
        ]
        content = {
            "images": [{"id": 1, "file_name": "x.png"}],
            "annotations": boxes,
            "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}],
        }
        (root / "annotations").mkdir(exist_ok=True)
        (root / "annotations" / f"{split}.json").write_text(json.dumps(content))
    return _built("detection", root)


def segmented(root: Path) -> Task[Any]:
    for number, stem in enumerate(("train", "val")):
        write_image(root / "images" / f"{stem}.png", np.full((9, 9, 3), number, np.uint8))
        write_image(root / "masks" / f"{stem}.png", np.zeros((9, 9), np.uint8))
        (root / f"{stem}.txt").write_text(stem)
    (root / "classes.txt").write_text("a\nb\n")
    return _built("segmentation", root)


def outlined(root: Path) -> Task[Any]:
    shape = [{"label": "a", "points": [[0, 0], [5, 0], [5, 5]]}]
    write_image(root / "images" / "train.png", np.zeros((9, 9, 3), np.uint8))
    write_image(root / "images" / "val.png", np.ones((9, 9, 3), np.uint8))
    (root / "polygons_train.json").write_text(json.dumps({"train.png": shape}))
    (root / "polygons_val.json").write_text(json.dumps({"val.png": [*shape, {**shape[0], "label": "b"}]}))
    return _built("segmentation", root)


@pytest.mark.parametrize("make", [classified, detected, segmented, outlined])
def test_the_built_in_tasks_tell(tmp_path: Path, make: Callable[[Path], Task[Any]]) -> None:
    task = make(tmp_path)
    assert absent_classes(task, task.dataset("train"), 2.0) == (["b"], 1)
    kinds = {found.kind: found for found in check_data({"it": task}, workers=0).findings}
    found = kinds.get("absent-class") or kinds["unseen-class"]
    assert "'b'" in found.message
    assert found.severity == "warning"
