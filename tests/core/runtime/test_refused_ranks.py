"""Several ranks on a folder that another holds: the whole job ends, with one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from zero_toys import TESTS, launch_ranks

from umbel.io.lock import hold


@pytest.mark.slow
def test_a_refusal_of_rank_0_ends_all_with_one_line(
    distribute: Callable[..., Path], recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = distribute("toy-tasks")
    monkeypatch.setenv("PYTHONPATH", f"{site}:{TESTS}")
    monkeypatch.chdir(tmp_path)
    with hold(Path("run"), "umbel add-task"):
        jobs = launch_ranks(2, "-m", "umbel", "train", str(recipe_file), "--out", "run")
    said = "".join(job.stderr for job in jobs)
    assert [job.returncode for job in jobs] == [2, 2], said
    assert said.count("umbel: ") == 1, said
    assert "rank 0: error: run: is being written by umbel add-task" in said
    assert not Path("run").exists()
