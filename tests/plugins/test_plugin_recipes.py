"""Recipes with plugins: they load, and four, five and six tasks train together; one kind may serve two tasks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from umbel import load, open_tasks
from umbel.cli import main
from umbel.recipes.streets.dataset import Counts, render_dataset

DEMO = ["road", "vehicles", "signs"]
SMALL = [
    "backbone.options.model_args.depths=[1,1,1,1]",
    "backbone.options.model_args.dims=[8,16,24,32]",
    "train.steps=1",
    "train.precision=fp32",
    "train.ema_decay=0",
    "tasks.road.batch_size=2",
    "tasks.road.options.width=8",
    "tasks.vehicles.batch_size=2",
    "tasks.vehicles.options.mid_channels=8",
    "tasks.signs.batch_size=2",
    "tasks.signs.options.neck_channels=[8,8,8]",
]


@pytest.fixture(scope="module")
def streets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("streets")
    render_dataset(folder / "demo" / "data", seed=1, counts=Counts(3, 1, 6, 6, 4, 2))
    return folder


@pytest.fixture
def workplace(installed: Path, streets: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(streets)
    return streets


@pytest.mark.parametrize(
    ("recipe", "added"),
    [
        ("demo_depth", ["range"]),
        ("demo_attributes", ["scene"]),
        ("demo_keypoints", ["corners"]),
        ("demo_five", ["range", "scene"]),
        ("demo_six", ["range", "scene", "corners"]),
    ],
)
def test_recipes_add_their_tasks_to_the_demos(workplace: Path, repository: Path, recipe: str, added: list[str]) -> None:
    file = repository / "plugins" / f"{recipe}.yaml"
    typed, tasks = open_tasks(file if file.is_file() else recipe)
    assert list(tasks) == [*DEMO, *added]
    for name in added:
        assert typed.tasks[name].batch_size > 1


def test_an_unknown_task_joins_leaderboard_b(workplace: Path, repository: Path) -> None:
    typed, tasks = open_tasks(repository / "plugins" / "leaderboard_b_depth.yaml")
    assert list(tasks) == ["cars", "signs", "range"]
    assert typed.tasks["range"].options.root.endswith("leaderboard_b/depth")


@pytest.mark.slow
def test_six_tasks_train_together(workplace: Path, repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["street-labels", "demo/data"])
    main(["street-corners", "demo/data"])
    added = [f"tasks.{name}.batch_size=2" for name in ("range", "scene", "corners")]
    signs = [
        kind["name"] for kind in json.loads(Path("demo/data/det/annotations/train.json").read_text())["categories"]
    ]
    added.append(f"tasks.scene.options.classes={{nearest_sign: [{', '.join(signs)}]}}")  # few pictures do not show all
    main(["train", str(repository / "plugins" / "demo_six.yaml"), *SMALL, *added, "--out", "six"])
    out = capsys.readouterr().out
    for key in ("road/miou", "vehicles/top1", "signs/map50", "range/delta1", "scene/skill", "corners/pck"):
        assert key in out


@pytest.mark.slow
def test_one_kind_twice_with_two_label_spaces(workplace: Path) -> None:
    Path("twice.yaml").write_text(
        "defaults: demo\n"
        "tasks:\n"
        "  road: null\n"
        "  signs: null\n"
        "  shapes:\n"
        "    kind: classification\n"
        "    batch_size: 2\n"
        "    input_size: [96, 96]\n"
        "    options: {root: demo/data/cls, class_map: {bus: large, truck: large, van: large}, mid_channels: 8}\n"
    )
    main(
        [
            "train",
            "twice.yaml",
            *[word for word in SMALL if "road" not in word and "signs" not in word],
            "--out",
            "twice",
        ]
    )
    trained = load("twice")
    names = {name: task.class_names for name, task in trained.tasks.items()}
    assert names["vehicles"] != names["shapes"]
    assert "large" in names["shapes"]
    heads = trained.runtime.model.heads
    assert heads["vehicles"].classifier.out_features == len(names["vehicles"])
    assert heads["shapes"].classifier.out_features == len(names["shapes"])
