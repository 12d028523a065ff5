"""One message a step between the ranks, and running statistics that are averaged where they are read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from round_worker import SIGNAL, STEPS
from timm.layers import BatchNormAct2d
from torch import Tensor, nn
from zero_toys import TESTS, launch_ranks

from umbel.contract.types import Losses
from umbel.runtime.batch_norm import BatchStatistics
from umbel.training.engine import mean_losses
from umbel.training.step_round import Lookahead

Notes = list[dict[str, Any]]
SCHEDULES = ("every step, 0, 1", "every step, 1, 1", "rank without data, 1, 1", "rank without data, 1, 2")


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Notes:
    """What each of two ranks noted."""
    out = tmp_path_factory.mktemp("rounds")
    for result in launch_ranks(2, str(TESTS / "round_worker.py"), str(out)):
        assert result.returncode == 0, result.stderr[-2000:]
    return [json.loads((out / f"rank-{rank}.json").read_text()) for rank in (0, 1)]


@pytest.mark.slow
@pytest.mark.parametrize("parts", [1, 2])
def test_ranks_exchange_one_message_a_composite_batch(notes: Notes, parts: int) -> None:
    for mine in notes:
        for stage in (0, 1):
            assert mine["rounds"][f"{stage}, {parts}"]["messages"] == STEPS * parts + 1  # and one before the first
        found = mine["rounds"][f"0, {parts}"]
        assert found["collectives"] == found["messages"] + STEPS  # the gradients of a step, and nothing of BatchNorm


@pytest.mark.slow
@pytest.mark.parametrize("case", SCHEDULES)
def test_statistics_are_those_of_averaging_after_every_step(notes: Notes, case: str) -> None:
    late, soon = ([mine["statistics"][f"{case}, {each}"] for mine in notes] for each in (False, True))
    for kind in ("read", "average"):
        assert late[0][kind] == late[1][kind]
        assert late[0][kind] == pytest.approx(soon[0][kind], abs=1e-6)
    assert late[0]["own"] != pytest.approx(late[1]["own"], abs=1e-3)  # each rank has its own until they are read
    assert late[0]["average"] != pytest.approx(late[0]["read"], abs=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("arrives", [0, 2])
def test_a_signal_is_known_to_all_ranks_at_the_same_step(notes: Notes, arrives: int) -> None:
    first, second = (mine["signals"][str(arrives)] for mine in notes)
    assert first == second
    assert first == [0] * arrives + [SIGNAL]  # rank 1 has it while it looks at the next batch, before the message


@pytest.mark.slow
@pytest.mark.parametrize("stage", [1, 2])
def test_plans_that_differ_are_named_before_anything_waits(notes: Notes, stage: int) -> None:
    for ends, texts in ((0, ["first, second, third", "first, third"]), (1, ["first, second, third", None])):
        for rank, (mine, text) in enumerate(zip(notes, texts, strict=True)):
            error, steps_done = mine["disagreeing"][f"{stage}, {ends}"]
            assert steps_done == 3
            if text is None:
                assert error == ""
            else:
                assert error.startswith(f"rank {rank}: {text}: the ranks do not agree on the tasks of this step")


@pytest.mark.slow
def test_a_batch_that_cannot_be_read_costs_no_step_before_it(notes: Notes) -> None:
    assert [mine["unreadable"] for mine in notes] == [["lost", 3], ["the disk is gone", 3]]


@pytest.mark.slow
def test_convolutions_stay_channels_last_where_nothing_is_sharded(notes: Notes) -> None:
    for mine in notes:
        (replicated, every), (sharded, _) = mine["channels last"]
        assert replicated == every > 10
        assert sharded == 0


def test_looking_ahead_takes_nothing_away() -> None:
    ahead = Lookahead([{"a": None}, {"b": None}])
    assert next(ahead) == {"a": None}
    assert ahead.peek() == ahead.peek() == {"b": None}
    assert next(ahead) == {"b": None}
    assert ahead.peek() == {}
    assert list(ahead) == []


def test_an_error_comes_at_its_batchs_turn() -> None:
    def broken() -> Iterator[dict[str, None]]:
        yield {"a": None}
        raise OSError("gone")

    ahead = Lookahead(broken())
    assert next(ahead) == {"a": None}
    assert ahead.peek() is None
    with pytest.raises(OSError, match="gone"):
        next(ahead)


def test_which_buffers_are_averaged_late() -> None:
    class TaskNorm(nn.Module):
        trains_on_batch_statistics = True

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("running_mean_road", torch.zeros(2))
            self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    class Renormalisation(nn.BatchNorm1d):
        """Reads its running mean in training."""

        def __init__(self) -> None:
            super().__init__(3)
            self.register_buffer("scratch", torch.zeros(9), persistent=False)

        def forward(self, x: Tensor) -> Tensor:
            return x if self.running_mean is None else x - self.running_mean

    statistics = BatchStatistics(nn.Sequential(BatchNormAct2d(4), Renormalisation(), TaskNorm()), 1)
    assert [len(tensor) for tensor in statistics.tensors] == [4, 4, 2, 3, 3]
    assert statistics.deferred == 3


def test_parts_of_a_loss_are_a_mean_over_the_batches_that_have_them() -> None:
    real = Losses(torch.tensor(4.0), {"box": torch.tensor(3.0)})
    found = mean_losses([{"a": Losses(torch.tensor(0.0))}, {"a": real}])
    assert float(found["a"].parts["box"]) == 3.0
