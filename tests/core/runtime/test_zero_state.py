"""Checkpoints, memory, evaluation and faults of several ranks; one job of two ranks does most of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from zero_toys import TESTS, launch_ranks, make_runtime, train_steps

pytestmark = pytest.mark.slow
STAGES = (0, 1, 2, 3)
# the gradient of a bias before BatchNorm is 0 but for rounding, of which Adam makes whole steps
ROUNDING = {"backbone.conv.bias", "backbone.norm.running_mean"}


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What zero_jobs.py leaves for 1, 2 and 4 ranks."""
    out = tmp_path_factory.mktemp("jobs")
    for world_size in (2, 1, 4):
        for result in launch_ranks(world_size, str(TESTS / "zero_jobs.py"), str(out)):
            assert result.returncode == 0, result.stderr[-2000:]
    return out


def equal(left: Path, right: Path) -> bool:
    one, other = load_file(left), load_file(right)
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("stage", STAGES)
def test_resumed_training_is_bit_equal_at_every_stage(jobs: Path, stage: int) -> None:
    for kind in ("model", "optimizer", "average"):
        assert equal(jobs / f"straight-{stage}-{kind}.safetensors", jobs / f"resumed-{stage}-{kind}.safetensors"), kind
    assert len(load_file(jobs / f"straight-{stage}-optimizer.safetensors")) > 10


def test_all_stages_leave_the_same_checkpoint(jobs: Path) -> None:
    for kind in ("model", "optimizer", "average"):
        stages = [load_file(jobs / f"straight-{stage}-{kind}.safetensors") for stage in STAGES]
        for stage in stages[1:]:
            assert stage.keys() == stages[0].keys()
            for name in stage.keys() - ROUNDING:
                torch.testing.assert_close(stage[name], stages[0][name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("stage", STAGES)
def test_another_world_size_takes_over_exactly(jobs: Path, stage: int) -> None:
    """One rank loads what two wrote at stage 3, at each stage, and gives back what it loaded."""
    for kind in ("model", "optimizer", "average"):
        assert equal(jobs / f"half-3-{kind}.safetensors", jobs / f"taken-{stage}-{kind}.safetensors"), kind


def test_the_local_runtime_takes_over_what_two_ranks_wrote(jobs: Path) -> None:
    tasks, runtime = make_runtime(None, {}, adam=True, norm=True, ema_decay=0.9)
    runtime.load_average(load_file(jobs / "half-3-average.safetensors"), "")
    runtime.load_weights(load_file(jobs / "half-3-model.safetensors"), "")
    runtime.load_optimizer(load_file(jobs / "half-3-optimizer.safetensors"), "")
    optimizer = runtime.optimizer_tensors()
    for name, value in load_file(jobs / "half-3-optimizer.safetensors").items():
        assert torch.equal(optimizer[name], value)
    train_steps(runtime, tasks, "every 2nd step", 4, 6)


def test_buffers_are_the_same_on_all_ranks_and_a_mean(jobs: Path) -> None:
    notes = [json.loads((jobs / f"notes-2-{rank}.json").read_text()) for rank in (0, 1)]
    assert notes[0]["buffers"] == notes[1]["buffers"]
    assert any(value != 0 for value in notes[0]["buffers"])


@pytest.mark.parametrize("world_size", [1, 2, 4])
def test_live_bytes_are_the_share_that_each_stage_promises(jobs: Path, world_size: int) -> None:
    notes: dict[str, Any] = json.loads((jobs / f"notes-{world_size}-0.json").read_text())
    whole = notes["parameters"]
    padding = notes["tensors"] * world_size * 64  # alignment of each tensor or group
    for stage in STAGES:
        live = notes["live"][str(stage)]
        parts = world_size if stage else 1
        assert abs(live["optimizer"] - 2 * whole / parts) <= 2 * padding, (stage, live)
        assert abs(live["master"] - whole / parts) <= padding, (stage, live)
        assert abs(live["weights"] - whole / (world_size if stage == 3 else 1)) <= padding, (stage, live)
        assert abs(live["gradients"] - whole / (world_size if stage > 1 else 1)) <= padding, (stage, live)


@pytest.mark.parametrize("world_size", [1, 2, 4])
@pytest.mark.parametrize("stage", [0, 3])
def test_evaluation_sees_each_sample_once_and_ranks_stay_in_step(jobs: Path, world_size: int, stage: int) -> None:
    alone = json.loads((jobs / "notes-1-0.json").read_text())["scores"]["0"]
    shared = [json.loads((jobs / f"notes-{world_size}-{rank}.json").read_text()) for rank in range(world_size)]
    for notes in shared:
        assert notes["scores"][str(stage)] == pytest.approx(alone, abs=1e-12)
        assert notes["counted"][str(stage)] == 7


def test_ranks_that_run_other_tasks_are_told_so(jobs: Path) -> None:
    for rank in (0, 1):
        notes = json.loads((jobs / f"notes-2-{rank}.json").read_text())
        assert "the ranks do not agree on the tasks of this step" in notes["disagreement"]


@pytest.mark.parametrize("stage", STAGES)
def test_gradient_that_is_not_finite_is_turned_away_on_all_ranks(jobs: Path, stage: int) -> None:
    for rank in (0, 1):
        notes = json.loads((jobs / f"notes-2-{rank}.json").read_text())
        assert notes["skipped"][str(stage)] == 1
        assert notes["unchanged"][str(stage)] is True
        assert notes["went on"][str(stage)] is True


def test_accumulating_equals_more_ranks(jobs: Path) -> None:
    two = load_file(jobs / "shared-by-two.safetensors")
    one = load_file(jobs / "accumulated.safetensors")
    for name, value in two.items():
        torch.testing.assert_close(one[name], value, rtol=0, atol=1e-6)
