"""Traffic by formula against rings that are played through."""

from __future__ import annotations

import pytest

from umbel.workflows.plan.traffic import step_traffic

ELEMENTS = {"": 6000, "a": 600, "b": 1200}


def ring(ranks: int, elements: int, passes: int) -> int:
    """Elements one rank sends when `passes` rings go round: each sends a chunk in each of ranks - 1 rounds."""
    return sum(elements // ranks for _ in range(passes) for _ in range(ranks - 1))


@pytest.mark.parametrize("ranks", [1, 2, 3, 6])
def test_rings_played_through(ranks):
    whole = 7800
    played = {
        0: ring(ranks, whole, 2),
        1: ring(ranks, whole, 1) + ring(ranks, whole, 1),
        2: ring(ranks, 6600, 1) + ring(ranks, 7200, 1) + ring(ranks, whole, 1),
        3: ring(ranks, 6600, 3) + ring(ranks, 7200, 3),
    }
    assert {stage: step_traffic(ELEMENTS, stage, ranks) for stage in played} == {
        stage: 4 * sent for stage, sent in played.items()
    }


def test_accumulation_costs_traffic_where_every_backward_reduces():
    one, four = ([step_traffic(ELEMENTS, stage, 2, accumulate=count) for stage in range(4)] for count in (1, 4))
    assert one[:2] == four[:2]
    assert four[2] - one[2] == 3 * 13800 * 4 // 2
    assert four[3] == 4 * one[3]


def test_half_weights_halve_it():
    assert step_traffic(ELEMENTS, 2, 4, weight_bytes=2) * 2 == step_traffic(ELEMENTS, 2, 4)
