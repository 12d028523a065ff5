"""umbel init: tasks whose images have files in common become the tasks of one source."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import yaml

from umbel.contract.dataset_report import DetectedDataset
from umbel.workflows.init.detect import Start
from umbel.workflows.init.recipe_text import recipe_text
from umbel.workflows.init.shared import find_sources

NUMBERS = count()


def start(files: str, *, name: str = "", holdout: float = 0.0, batch: int = 8, side: int = 64) -> Start:
    detected = DetectedDataset("folders", 320, batch, 1.0, {"root": "data"}, holdout=holdout)
    images = frozenset(map(Path, files))
    name = name or f"t{next(NUMBERS)}"
    return Start(name, "segmentation", detected, {"train": 9, "val": 3}, ("a", "b"), (side, side), (64, 64), images)


def groups(*starts: Start) -> list[tuple[str, ...]]:
    names = [one.name for one in starts]
    return [tuple(str(names.index(task)) for task in source.tasks) for source in find_sources(starts)]


def test_common_files_make_a_source_directly_or_by_others() -> None:
    assert groups(start("abc"), start("xy"), start("cd")) == [("0", "2")]
    assert groups(start("ab"), start("cd"), start("bc")) == [("0", "1", "2")]
    assert groups(start("ab"), start("cd")) == []
    assert groups(start(""), start("")) == []
    assert groups(start("ab", holdout=0.2), start("ab")) == []


def test_the_recipe_says_the_size_once() -> None:
    starts = [start("ab", name="road", batch=4), start("ab", name="images", side=96), start("z", name="own")]
    recipe = yaml.safe_load(recipe_text(starts, "resnet18", None, 10))
    assert list(recipe["sources"]) == ["images_2"]  # a task has the other name
    source = recipe["sources"]["images_2"]
    assert (source["batch_size"], source["input_size"]) == (4, [96, 96])
    for name in ("road", "images"):
        assert recipe["tasks"][name]["source"] == "images_2"
        assert not {"batch_size", "input_size"} & set(recipe["tasks"][name])
    assert recipe["tasks"]["own"]["input_size"] == [64, 64]
    assert recipe["backbone"]["options"]["norm_stats"] == "shared"
    plain = yaml.safe_load(recipe_text(starts[2:], "resnet18", None, 10))
    assert "sources" not in plain
    assert "norm_stats" not in plain["backbone"]["options"]
