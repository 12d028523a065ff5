"""Getting started, and prediction and export: their commands and Python run as shown, on small pictures."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from trio import make_run

from umbel import write_image
from umbel.cli import main
from umbel.io.video import VideoFile
from umbel.recipes.streets.dataset import Counts, render_dataset


def blocks(text: str, language: str) -> str:
    return "\n".join(re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))


def commands(text: str) -> list[list[str]]:
    lines = [shlex.split(line, comments=True) for line in blocks(text, "sh").splitlines()]
    return [line[1:] for line in lines if line[:1] == ["umbel"]]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for folder in ("photos", "more"):
        write_image(
            tmp_path / folder / "one.jpg", np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype("uint8")
        )
    with VideoFile(tmp_path / "clip.mp4", 5) as video:
        video.add(np.full((64, 64, 3), 90, np.uint8))
    return tmp_path


def test_getting_started(place: Path, repository: Path) -> None:
    render_dataset(place / "data", seed=1, counts=Counts(3, 1, 6, 6, 3, 2))
    small = ["train.steps=1", "train.precision=fp32", "tasks.road.batch_size=1", "tasks.signs.batch_size=1"]
    small += [f"tasks.{name}.input_size=[64,64]" for name in ("road", "vehicles", "signs")]
    small += ["backbone.options.model_args={depths: [1,1,1,1], dims: [8,8,8,8]}"]
    extra = {"init": ["--model", "convnext_atto", "--weights", "none"], "check": small, "train": small}
    shown = commands((repository / "docs" / "getting-started.md").read_text())
    assert [command[0] for command in shown] == ["init", "check", "train", "report", "predict"]
    for command in shown:
        main([*command, *extra.get(command[0], [])])
    assert Path("look/signs.jpg").is_file()
    assert Path("runs/first/report.html").is_file()
    assert Path("predictions/road/one.jpg").is_file()


@pytest.mark.slow
def test_prediction_and_export(place: Path, repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_run(place / "runs" / "first")
    text = (repository / "docs" / "prediction.md").read_text()
    for command in commands(text):
        main(command)
    assert Path("runs/first/export/onnx/model.onnx").is_file()
    assert Path("predictions/clip.mp4").is_file()
    exec(compile(blocks(text, "python"), "prediction.md", "exec"), {})
    assert Path("all.jpg").is_file()
