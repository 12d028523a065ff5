"""Mutated image files go through the real reader in a process of its own: an image or a DataError, never a signal."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CHILD = Path(__file__).parents[1] / "support" / "attacks" / "mutate.py"


@pytest.mark.parametrize(
    ("seed", "count"), [(0, 400), *(pytest.param(seed, 2000, marks=pytest.mark.slow) for seed in range(1, 6))]
)
def test_no_mutated_file_ends_the_process(seed: int, count: int, tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, str(CHILD), str(tmp_path), str(seed), str(count)],
        capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    left = tmp_path / "mutated"
    assert result.returncode == 0, (result.returncode, result.stdout, left.read_bytes()[:200].hex())
    read, refused, slowest, peak = map(float, result.stdout.split())
    assert read + refused == 2 * count
    assert min(read, refused) > count / 10  # neither all sound nor all refused at the header
    assert slowest <= 5
    assert peak <= 1500
