"""Gradients that are averaged while the last backward runs: when and in which order they are sent, and what arrives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from zero_toys import SCHEDULES, STEPS, TESTS, largest_difference, launch_ranks, reference

pytestmark = pytest.mark.slow
WORLD_SIZE = 2


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("buckets")
    for result in launch_ranks(WORLD_SIZE, str(TESTS / "buckets_worker.py"), str(folder)):
        assert result.returncode == 0, result.stderr[-2000:]
    return folder


@pytest.fixture(scope="module")
def notes(out: Path) -> list[dict[str, Any]]:
    """By rank."""
    return [json.loads((out / f"notes-{rank}.json").read_text()) for rank in range(WORLD_SIZE)]


def sizes(step: list[Any]) -> list[int]:
    return [entry for entry in step if isinstance(entry, int)]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_buckets_are_sent_once_a_step_in_one_order_on_all_ranks(notes: list[dict[str, Any]], schedule: str) -> None:
    expected = [value.numel() for value in reversed(reference(schedule, WORLD_SIZE).values())]
    for mine in notes:
        assert [sizes(step) for step in mine["steps"][schedule]] == [expected] * STEPS


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_all_buckets_but_those_of_a_new_graph_are_sent_before_the_last_backward_ends(
    notes: list[dict[str, Any]], schedule: str
) -> None:
    for mine in notes:
        first, *others = mine["steps"][schedule]
        assert first[:2] == ["begin", "end"]  # what the graph shows is not trusted yet
        for step in others:
            assert step[0] == "begin"
            assert step[-1] == "end"


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_weights_are_those_of_plain_pytorch(out: Path, schedule: str) -> None:
    for rank in range(WORLD_SIZE):
        found = load_file(out / f"{schedule}-{rank}.safetensors")
        assert largest_difference(found, reference(schedule, WORLD_SIZE)) <= 1e-6


@pytest.mark.parametrize("name", ["first", "third"])
def test_bad_gradient_is_named_and_nothing_of_it_is_left(notes: list[dict[str, Any]], name: str) -> None:
    for mine in notes:
        found = mine["bad"][name]
        assert f"the gradient of task '{name}' is not finite" in found["message"]
        assert found["message"].count("the gradient of task") == 1
        assert found["skipped"] == 1
        assert found["stayed"]
        assert found["went on"]


def test_accumulated_gradients_are_sent_once_at_the_end(notes: list[dict[str, Any]]) -> None:
    assert all(mine["accumulated"] for mine in notes)


@pytest.mark.parametrize("times", ["0", "1", "2"])
def test_parameters_hidden_in_reentrant_checkpoints_are_averaged_too(notes: list[dict[str, Any]], times: str) -> None:
    for mine in notes:
        assert mine["differences"][times] == pytest.approx([0.0] * 4, abs=1e-7)


def test_gradient_after_its_bucket_was_sent_is_an_error(notes: list[dict[str, Any]]) -> None:
    for mine in notes:
        assert "idle.weight got a gradient that the loss's graph did not show" in mine["surprised"]
