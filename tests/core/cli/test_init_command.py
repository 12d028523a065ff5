"""umbel init: folders in, a recipe out that check accepts."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from command_line import exit_code

from umbel.cli import build_cli
from umbel.recipes.streets.dataset import Counts, render_dataset


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("init") / "data"
    render_dataset(folder, seed=1, counts=Counts(3, 1, 6, 6, 3, 2))
    return folder


@pytest.fixture
def place(rendered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(rendered, tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_recipe_of_three_folders_is_accepted_by_check(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tasks = ["--task", "road=data/seg", "--task", "data/cls", "--task", "signs=detection:data/det"]
    assert exit_code("init", *tasks, "--model", "convnext_atto", "--weights", "none", "--yes") == 0
    captured = capsys.readouterr()
    assert captured.out == "recipe.yaml\n"
    assert "road: segmentation, layout folders, 3 training, 1 validation images" in captured.err
    recipe = yaml.safe_load(Path("recipe.yaml").read_text())
    assert list(recipe["tasks"]) == ["road", "cls", "signs"]
    assert all(side % 32 == 0 for task in recipe["tasks"].values() for side in task["input_size"])
    small = ["tasks.road.batch_size=1", "tasks.cls.batch_size=2", "tasks.signs.batch_size=1", "train.precision=fp32"]
    assert (
        exit_code("check", "recipe.yaml", *small, "backbone.options.model_args={depths: [1,1,1,1], dims: [8,8,8,8]}")
        == 0
    )
    checked = capsys.readouterr().out
    assert "steps/epoch" in checked
    assert "signs, train: shorter side of objects at test time, in pixels" in checked


def test_an_existing_recipe_is_kept(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("recipe.yaml").write_text("mine")
    assert exit_code("init", "--task", "data/cls") == 2
    assert "exists already" in capsys.readouterr().err
    assert Path("recipe.yaml").read_text() == "mine"


def test_pictures_are_drawn_on_request(place: Path) -> None:
    assert exit_code("init", "--task", "data/cls", "--yes", "--pictures", "look") == 0
    assert Path("look/cls.jpg").stat().st_size > 5_000


def test_init_asks_where_the_data_is(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("umbel.cli.init._is_terminal", lambda: True)
    answers = "data/gone\n\ndata/seg\nstreets\n\n"
    result = CliRunner().invoke(build_cli(), ["init"], input=answers)
    assert result.exit_code == 0, result.output
    assert list(yaml.safe_load(Path("recipe.yaml").read_text())["tasks"]) == ["streets"]


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        ([], 2, "no task is given"),
        (["--task", "gone"], 3, "no such folder"),
        (["--task", "empty"], 3, "is no data set that"),
        (["--task", "a=cars:data/cls"], 3, "no such folder"),
        (["--task", "=data/cls"], 2, "is not of the form"),
        (["--task", "Bad Name=data/cls"], 2, "is not of the form"),
        (["--task", "a=data/cls", "--task", "a=data/seg"], 2, "two tasks 'a'"),
        (["--task", "a=detection:data/cls"], 3, "is no data set that detection recognises"),
        (["--task", "data/cls", "--out", "data"], 2, "exists already"),
    ],
)
def test_errors_are_one_line(
    place: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, part: str
) -> None:
    Path("empty").mkdir()
    assert exit_code("init", *arguments) == code
    err = capsys.readouterr().err
    assert part in err.splitlines()[-1]
    assert "Traceback" not in err
    assert not Path("recipe.yaml").exists()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_of_every_shell(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("completion", shell) == 0
    assert "_UMBEL_COMPLETE" in capsys.readouterr().out
