"""What only a process of its own can show: what is imported, how signals end it, what a traceback looks like."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

WITHOUT_TORCH = """
import sys
from umbel.cli import main
try:
    main({arguments!r})
except SystemExit as stop:
    assert not stop.code, stop.code
heavy = [name for name in ("torch", "cv2", "albumentations", "timm", "numpy", "omegaconf") if name in sys.modules]
assert not heavy, heavy
"""


@pytest.fixture
def run(distribute: Callable[..., Path], tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs Python with the toys' distribution on its path."""
    site = distribute("toy-tasks")
    tests = Path(__file__).resolve().parents[2] / "support"
    environment = {
        **os.environ,
        "PYTHONPATH": f"{site}{os.pathsep}{tests}",
        "OMP_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }

    def go(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600
        )

    return go


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["train", "--help"], ["plugins", "--json"]])
def test_light_commands_do_not_import_torch(
    run: Callable[..., subprocess.CompletedProcess[str]], arguments: list[str]
) -> None:
    result = run("-c", WITHOUT_TORCH.format(arguments=arguments))
    assert result.returncode == 0, result.stderr
    assert result.stdout


def test_module_runs_as_a_program_and_debug_shows_the_traceback(
    run: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    short, long = run("-m", "umbel", "show", "missing"), run("-m", "umbel", "show", "missing", "--debug")
    assert short.returncode == 2
    assert short.stderr.count("\n") == 1
    assert short.stderr.startswith("umbel: error: no recipe 'missing'")
    assert "Traceback" in long.stderr
    assert long.returncode == 1


SIGNALLED = """
import os, signal
from umbel import hookimpl
from umbel.training.observers.jsonl import JsonlObserver
def interrupted(self, run, step, losses, lr):
    if step == 6:
        for _ in range({count}):
            os.kill(os.getpid(), signal.{name})
            import time; time.sleep(0.3)
JsonlObserver.umbel_step_finished = hookimpl(interrupted)
from umbel.cli import main
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGUSR1"])
def test_signalled_training_saves_ends_in_one_line_and_resumes(
    run: Callable[..., subprocess.CompletedProcess[str]], recipe_file: Path, tmp_path: Path, name: str
) -> None:
    arguments = ["train", str(recipe_file), "--out", "run", "tasks.first.workers=1"]
    result = run("-c", f"{SIGNALLED.format(name=name, count=1)}main({arguments!r})")
    assert result.returncode == 75, result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert result.stderr.splitlines()[-1] == (
        f"umbel: stopped: run: {name} after step 6 of 12; a checkpoint is saved (go on with --resume)"
    )
    assert (tmp_path / "run" / "checkpoints" / "latest").read_text() == "step-00000006"
    resumed = run("-m", "umbel", *arguments, "--resume")
    assert resumed.returncode == 0, resumed.stderr
    assert "step 7/12" in resumed.stderr
    assert "step 6/12" not in resumed.stderr


@pytest.mark.slow
@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", -15), ("SIGUSR1", -10)])
def test_second_signal_ends_at_once(
    run: Callable[..., subprocess.CompletedProcess[str]], recipe_file: Path, tmp_path: Path, name: str, code: int
) -> None:
    arguments = ["train", str(recipe_file), "--out", "run", "train.save_every=2"]
    result = run("-c", f"{SIGNALLED.format(name=name, count=2)}main({arguments!r})")
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr
    assert (tmp_path / "run" / "checkpoints" / "latest").read_text() == "step-00000004"
