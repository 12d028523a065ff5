"""Every command that writes, on a folder where the user has a file of that name: it is refused and stays as it was."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from command_line import exit_code

from umbel.io.images import write_image

MINE = b"the user's own\n"
COMMANDS = {
    "train": (("train", "toy.yaml", "train.steps=1", "--out", "."), "recipe.yaml"),
    "train, scores": (("train", "toy.yaml", "train.steps=1", "--out", "."), "scores.json"),
    "train, report": (("train", "toy.yaml", "train.steps=1", "--out", "."), "report.html"),
    "train, metrics": (("train", "toy.yaml", "train.steps=1", "--out", "x"), "x/metrics.jsonl"),
    "add-task": (("add-task", "run", "more.yaml", "train.steps=1", "--out", "x"), "x/recipe.yaml"),
    "extract": (("extract", "run", "--tasks", "first", "--out", "x"), "x/recipe.yaml"),
    "drop-task": (("drop-task", "run", "first", "--out", "x"), "x/recipe.yaml"),
    "export": (("export", "run", "--to", "safetensors", "--out", "x"), "x/README.md"),
    "export, recipe": (("export", "run", "--to", "safetensors", "--out", "."), "recipe.yaml"),
    "predict": (("predict", "run", "photos", "--out", "x"), "x/first/a.jpg"),
    "predict, json": (("predict", "run", "photos", "--out", "x"), "x/second.json"),
    "predict among the inputs": (("predict", "run", "photos/first/b.jpg", "--out", "photos"), "photos/first/b.jpg"),
    "report": (("report", "run", "--out", "notes.html"), "notes.html"),
    "report of several": (("report", "run", "run"), "comparison.html"),
    "report on a recipe": (("report", "run", "--out", "recipe.yaml"), "recipe.yaml"),
    "compare": (("compare", "toy.yaml", "--steps", "1", "--out", "x"), "x/compare.json"),
    "tta": (("tta", "run", "--csv", "t.csv"), "t.csv"),
    "tta, json": (("tta", "run", "--json", "t.json"), "t.json"),
    "tta, recipe": (("tta", "run", "--search", "--budget", "2", "--write", "new.yaml"), "new.yaml"),
    "check": (("check", "toy.yaml", "--data", "--json", "found.json"), "found.json"),
    "check, pictures": (("check", "toy.yaml", "--pictures", "x"), "x/second.jpg"),
    "init": (("init", "--task", "road=photos"), "recipe.yaml"),
    "new-task": (("new-task", "lanes"), "umbel-lanes"),
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("overwriting")


@pytest.fixture
def folder(
    trained: Path, tmp_path: Path, recipe_file: Path, distribute: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The working folder, with recipes, a run and photos; the run is trained once."""
    distribute("toy-tasks")
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    monkeypatch.chdir(tmp_path)
    Path("more.yaml").write_text("tasks:\n  third: {kind: bright, batch_size: 2, input_size: [16, 16]}\n")
    if not (trained / "run").is_dir():
        assert exit_code("train", "toy.yaml", "train.steps=1", "--quiet", "--out", str(trained / "run")) == 0
    shutil.copytree(trained / "run", "run")
    for name in ("photos/a.jpg", "photos/first/b.jpg"):
        write_image(Path(name), np.zeros((16, 16, 3), np.uint8))
    return tmp_path


@pytest.mark.parametrize("name", COMMANDS)
def test_a_file_of_the_user_is_refused_by_name_and_stays(
    folder: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, place = COMMANDS[name]
    path = folder / place
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.write_bytes(MINE)
    before, tree = path.read_bytes(), sorted(folder.rglob("*"))
    capsys.readouterr()
    assert exit_code(*arguments) == 2
    said = capsys.readouterr().err
    assert "exists" in said.splitlines()[-1] or "is read by this command" in said
    assert place.rpartition("/")[2] in said
    assert path.read_bytes() == before
    assert sorted(folder.rglob("*")) == tree


@pytest.mark.parametrize(
    "arguments",
    [
        ("predict", "run", "photos", "--out", "x"),
        ("report", "run"),
        ("report", "run", "--out", "notes.html"),
        ("tta", "run", "--csv", "t.csv"),
        ("export", "run", "--to", "safetensors"),
        ("check", "toy.yaml", "--data", "--json", "found.json"),
        ("check", "toy.yaml", "--pictures", "x"),
    ],
)
def test_what_a_command_wrote_it_writes_again(folder: Path, arguments: tuple[str, ...]) -> None:
    first, again = exit_code(*arguments), exit_code(*arguments)
    assert first == again
    assert first in (0, 1)


def test_a_run_that_failed_before_its_first_checkpoint_is_begun_again(folder: Path) -> None:
    assert exit_code("train", "toy.yaml", "train.steps=1", "--out", "x") == 0
    shutil.rmtree("x/checkpoints")
    assert exit_code("train", "toy.yaml", "train.steps=1", "--out", "x") == 0


def test_its_edited_recipe_is_kept(folder: Path) -> None:
    assert exit_code("train", "toy.yaml", "train.steps=1", "--out", "x") == 0
    shutil.rmtree("x/checkpoints")
    with Path("x/recipe.yaml").open("a") as recipe:
        recipe.write("# my remark\n")
    assert exit_code("train", "x/recipe.yaml", "--out", "x") == 2
    assert Path("x/recipe.yaml").read_text().endswith("# my remark\n")
