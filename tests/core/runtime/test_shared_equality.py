"""Tasks of one source with partial labels, 20 steps at ZeRO 0 to 3, against plain PyTorch with a pass for each task."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.torch import load_file
from shared_worker import reference, train
from zero_toys import TESTS, largest_difference, launch_ranks, make_runtime

STAGES = ["0", "1", "2", "3"]
LARGEST = 1e-6


def test_the_local_runtime_equals_plain_pytorch() -> None:
    tasks, runtime = make_runtime(None, {})
    train(runtime, tasks)
    assert largest_difference(runtime.weights(), reference(1)) <= LARGEST


@pytest.mark.slow
@pytest.mark.parametrize("world_size", [1, 2])
def test_every_stage_equals_plain_pytorch(world_size: int, tmp_path: Path) -> None:
    for result in launch_ranks(world_size, str(TESTS / "shared_worker.py"), str(tmp_path), *STAGES):
        assert result.returncode == 0, result.stderr[-2000:]
    wanted = reference(world_size)
    found = {stage: largest_difference(load_file(tmp_path / f"{stage}.safetensors"), wanted) for stage in STAGES}
    assert max(found.values()) <= LARGEST, found
