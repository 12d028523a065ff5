"""Three folders without a validation split: init, check, check --data and two steps of training."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml
from command_line import exit_code
from generators import unsplit

from umbel.config.build import build_tasks
from umbel.config.load import load_recipe
from umbel.data.datasets import load_datasets
from umbel.registry.plugins import Plugins

SMALL = [
    *("train.steps=2", "train.eval_every=1", "train.precision=fp32", "optim.warmup_steps=1"),
    "backbone.options.model_args={depths: [1,1,1,1], dims: [8,8,8,8]}",
]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three folders and their recipe."""
    unsplit.class_tree(tmp_path / "vehicles")
    unsplit.masks(tmp_path / "road")
    unsplit.coco(tmp_path / "signs")
    monkeypatch.chdir(tmp_path)
    folders = [part for name in ("vehicles", "road", "signs") for part in ("--task", name)]
    assert exit_code("init", *folders, "--model", "convnext_atto", "--weights", "none", "--yes") == 0
    return tmp_path


def test_init_says_what_it_does(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("init", "--task", "vehicles", "--task", "signs", "--weights", "none", "--yes") == 0
    err = capsys.readouterr().err
    held = "no validation split: 20 % held out (holdout: 0.2)"
    assert f"vehicles: classification, layout folders, 10 training, 2 validation images, 3 classes; {held}" in err
    assert f"signs: detection, layout coco, 4 training, 1 validation images, 2 classes; {held}" in err
    text = Path("recipe.yaml").read_text()
    assert text.count("    holdout: 0.2  # share of the images that validates") == 2
    assert {task["holdout"] for task in yaml.safe_load(text)["tasks"].values()} == {0.2}


def test_recipe_is_checked_and_trained(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("check", "recipe.yaml", *SMALL) == 0
    out = capsys.readouterr().out
    rows = {cells[0]: cells[1:3] for line in out.splitlines() if len(cells := line.split()) > 5}
    assert (rows["vehicles"], rows["road"], rows["signs"]) == (["10", "2"], ["4", "1"], ["4", "1"])
    assert "vehicles, train and val: classes" in out
    assert exit_code("train", "recipe.yaml", *SMALL, "--out", "run") == 0
    scores = json.loads(Path("run/scores.json").read_text())
    assert {"vehicles/top1", "road/miou", "signs/map50"} <= set(scores)
    assert "Training and held-out data" in Path("run/report.html").read_text()
    assert exit_code("evaluate", "run") == 0


def test_data_is_read_once_and_copies_across_the_parts_are_found(place: Path) -> None:
    assert exit_code("check", "recipe.yaml", "--data", "--workers", "0", "--json", "before.json") == 0
    before = json.loads(Path("before.json").read_text())
    assert before["files"] == 12 + 2 * 5 + 5
    plugins = Plugins.discover()
    tasks = build_tasks(load_recipe("recipe.yaml", (), plugins).typed, plugins)
    held, trained = (load_datasets(tasks, split)["vehicles"][0].id for split in ("val", "train"))
    shutil.copy(f"vehicles/{trained}", f"vehicles/{held}")
    assert exit_code("check", "recipe.yaml", "--data", "--workers", "0", "--json", "after.json") == 1
    (finding,) = json.loads(Path("after.json").read_text())["findings"]
    assert (finding["kind"], finding["task"], finding["split"]) == ("leak", "vehicles", "val")
    assert finding["file"] == f"vehicles/{held}"


def test_faults_are_told_once(place: Path) -> None:
    Path("road/masks/p2.png").unlink()
    Path("vehicles/car/p1.png").write_bytes(b"")
    assert exit_code("check", "recipe.yaml", "--data", "--workers", "0", "--json", "found.json") == 1
    found = json.loads(Path("found.json").read_text())["findings"]
    assert sorted(finding["kind"] for finding in found) == ["missing-pair", "zero-bytes"]


def test_too_few_images_are_a_finding(place: Path) -> None:
    for path in (*Path("road").glob("*/p[1-9].png"),):
        path.unlink()
    assert exit_code("check", "recipe.yaml", "--data", "--workers", "0", "--json", "found.json") == 1
    (finding,) = json.loads(Path("found.json").read_text())["findings"]
    assert (finding["kind"], finding["file"]) == ("empty-split", "tasks.road.holdout")
    assert exit_code("train", "recipe.yaml", *SMALL, "--out", "run") == 3
