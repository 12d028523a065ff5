"""The tutorial's plugin is written to disk as shown, installed, and trained."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from umbel import write_image


@pytest.mark.slow
def test_the_tutorial_works_as_it_stands(repository: Path, tmp_path: Path) -> None:
    text = (repository / "docs" / "tutorial-task.md").read_text(encoding="utf-8")
    files = dict(re.findall(r"^`([\w.]+)`:\n```\w+\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
    assert set(files) == {"umbel_brightness.py", "pyproject.toml", "recipe.yaml"}
    source, site = tmp_path / "source", tmp_path / "site"
    source.mkdir()
    for name, content in files.items():
        (source / name).write_text(content)
    (commands,) = re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert [line.split()[:2] for line in commands.splitlines()] == [
        ["pip", "install"],
        ["umbel", "plugins"],
        ["umbel", "train"],
    ]
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for index in range(6):
            level = int(rng.integers(30, 220))
            write_image(source / "photos" / split / f"{index}.png", np.full((64, 64, 3), level, np.uint8))

    def run(*command: str) -> str:
        environment = {**os.environ, "PYTHONPATH": str(site)}
        done = subprocess.run(command, cwd=source, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    python = sys.executable
    run(python, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--target", str(site), ".")
    listed = [line.split() for line in run(python, "-m", "umbel", "plugins").splitlines()]
    assert ["task", "brightness", "umbel-brightness", "0.1.0"] in listed
    out = run(python, "-m", "umbel", "train", "recipe.yaml", "--out", "runs/light")
    assert "light/closeness" in out
