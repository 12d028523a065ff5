"""Every command, given what it cannot use, answers with one line and an exit code."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from trio import make_run

from umbel import write_image
from umbel.cli import build_cli, main

INTERRUPTED = "interrupted"  # a run that was stopped before its first checkpoint


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("finished") / "run")


@pytest.fixture
def place(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a good run, damaged ones, and files of every wrong kind."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished, "run")
    write_image(Path("photo.png"), np.full((40, 40, 3), 90, np.uint8))
    Path("empty.yaml").touch()
    Path("binary.yaml").write_bytes(bytes(range(256)))
    Path("list.yaml").write_text("- a\n- b\n")
    Path("text.yaml").write_text("hello")
    Path("tabs.yaml").write_text("tasks:\n\t a: 1\n")
    Path("types.yaml").write_text("tasks: {a: {kind: segmentation, batch_size: many, input_size: wide}}")
    Path("null.yaml").write_text("tasks: null\ntrain: null\n")
    Path("nested.yaml").write_text("tasks: [[[[1]]]]\nbackbone: 3\n")
    Path("folder").mkdir()
    Path("folder.yaml").mkdir()
    Path("dangling").symlink_to("nowhere")
    Path("bad.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    Path("bad.mp4").write_bytes(b"\0" * 64)
    Path(INTERRUPTED).mkdir()
    shutil.copy("run/recipe.yaml", INTERRUPTED)
    (Path(INTERRUPTED) / "checkpoints" / "step-00000001.tmp-0").mkdir(parents=True)
    for name, damage in DAMAGES.items():
        shutil.copytree("run", name)
        damage(Path(name))
    return tmp_path


def _cut(run: Path) -> None:
    (weights,) = run.glob("checkpoints/step-*/model.safetensors")
    weights.write_bytes(weights.read_bytes()[:100])


def _unhinged(run: Path) -> None:
    (manifest,) = run.glob("checkpoints/step-*/manifest.json")
    manifest.write_text("[]")


def _no_recipe(run: Path) -> None:
    (run / "recipe.yaml").unlink()


def _broken_recipe(run: Path) -> None:
    (run / "recipe.yaml").write_text("tasks: {")


def _other_model(run: Path) -> None:
    text = (run / "recipe.yaml").read_text()
    (run / "recipe.yaml").write_text(text.replace("width: 8", "width: 16"))


def _scoreless(run: Path) -> None:
    (run / "scores.json").write_text("{")


DAMAGES: dict[str, Callable[[Path], None]] = {
    "cut": _cut,
    "unhinged": _unhinged,
    "recipeless": _no_recipe,
    "misspelt": _broken_recipe,
    "altered": _other_model,
}
RECIPES = (
    "gone.yaml", "empty.yaml", "binary.yaml", "list.yaml", "text.yaml", "tabs.yaml", "types.yaml", "null.yaml",
    "nested.yaml", "folder", "folder.yaml", "dangling", "photo.png", "", "a" * 300,
)  # fmt: skip
RUNS = ("gone", "folder", "photo.png", "dangling", INTERRUPTED, *DAMAGES, "", "a" * 300)
OVERRIDES = (
    ["train.steps"], ["=1"], ["train.steps=abc"], ["train=3"], ["tasks=3"], ["tasks.road=7"], ["backbone.name=none"],
    ["tasks.nobody=null"], ["train.steps=-1"], ["optim.lr=${oc.env:NO_SUCH_VARIABLE}"], ["a.b.c=[}"],
    ["score=1+"], ["score=nobody"],
)  # fmt: skip

BAD: list[list[str]] = [
    *([command, recipe] for command in ("train", "check", "show") for recipe in RECIPES),
    *(["check", "run/recipe.yaml", *override] for override in OVERRIDES),
    *(["show", "run/recipe.yaml", *override] for override in OVERRIDES[:-2]),  # it computes no score
    ["check", "run/recipe.yaml"],  # whose data is nowhere
    ["train", "run/recipe.yaml", "--out", "photo.png"],
    ["train", "run/recipe.yaml", "--out", "run"],
    ["train", "run/recipe.yaml", "--resume"],
    ["train", "run/recipe.yaml", "--resume", "--out", INTERRUPTED],
    *(["evaluate", run] for run in ("run", *RUNS)),
    *(["tta", run] for run in RUNS),
    *(["predict", run, "photo.png"] for run in RUNS),
    *(["predict", "run", path] for path in ("gone.png", "folder", "dangling", "bad.png", "bad.mp4", "[")),
    ["predict", "run", "photo.png", "--task", "nobody"],
    ["predict", "run", "photo.png", "--confidence", "nan"],
    ["predict", "run", "photo.png", "--confidence", "much"],
    ["predict", "run", "photo.png", "--classes", "unicorn"],
    ["predict", "run", "photo.png", "--format", "gif"],
    ["predict", "run", "photo.png", "--size", "-1", "5"],
    ["predict", "run", "photo.png", "--out", "photo.png"],
    ["predict", "run", "photo.png", "--checkpoint", "worst"],
    ["predict", "run", "photo.png", "--device", "toaster"],
    ["predict", "run"],
    *(["export", run, "--to", "safetensors"] for run in RUNS),
    ["export", "run"],
    ["export", "run", "--to", "paper"],
    ["export", "run", "--to", "safetensors", "--tasks", "nobody"],
    ["export", "run", "--to", "safetensors", "--out", "photo.png"],
    ["export", "run", "--to", "torch_export", "--size", "1", "1"],
    *(["init", "--task", task] for task in ("gone", "folder", "photo.png", "dangling", "=x", "A=folder", "a=b:c", "")),
    ["init"],
    ["init", "--task", "folder", "--out", "run"],
    ["show", "--schema", "nothing"],
    ["show"],
    ["completion", "cmd"],
    ["completion"],
    ["nonsense"],
    ["--nonsense"],
]  # fmt: skip


@pytest.mark.parametrize("arguments", BAD, ids=lambda arguments: " ".join(arguments)[:60])
def test_bad_input_gives_a_line_and_a_code(
    place: Path, arguments: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    out, err = capfd.readouterr()
    assert stop.value.code in (1, 2, 3), (stop.value.code, err)
    assert "Traceback" not in out + err
    lines = [line for line in err.splitlines() if "error: " in line.lower()]
    assert len(lines) == 1, err
    assert "(a defect in umbel" not in err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("arguments", [["show", "run/recipe.yaml"], ["predict", "run", "photo.png"]])
def test_files_that_may_not_be_read(place: Path, arguments: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    for path in ("run/recipe.yaml", "photo.png"):
        Path(path).chmod(0)
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code in (2, 3)
    assert "Traceback" not in capfd.readouterr().err


def test_unreadable_scores_do_not_stop_an_export(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    _scoreless(Path("run"))
    main(["export", "run", "--to", "safetensors"])
    assert "not evaluated" in Path("run/export/safetensors/README.md").read_text()


@pytest.mark.parametrize("command", sorted(build_cli().commands))
def test_every_command_helps(command: str, capfd: pytest.CaptureFixture[str]) -> None:
    build_cli().main([command, "--help"], prog_name="umbel", standalone_mode=False)
    assert f"Usage: umbel {command}" in capfd.readouterr().out
