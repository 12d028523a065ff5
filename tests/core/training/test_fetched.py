"""Losses for observers: to the bit those of the engine, and one wait for all of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from umbel.contract.types import Losses
from umbel.testing.gpu import pretended_gpu
from umbel.training.fetched import FetchedLosses
from umbel.training.notify import Observers

VALUES = (0.1, math.pi, 1e-40, -0.0, 3.4e38, math.inf)


def losses(device: str = "cpu", dtype: torch.dtype = torch.float32) -> dict[str, Losses]:
    tensors = [torch.tensor(value, dtype=dtype, device=device) for value in VALUES]
    return {
        "a": Losses(tensors[0], {"x": tensors[1], "y": tensors[2]}),
        "b": Losses(tensors[3], {"z": tensors[4]}),
        "c": Losses(tensors[5]),
    }


def values_of(of_task: Losses) -> list[Tensor]:
    return [of_task.total, *of_task.parts.values()]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_values_are_equal_to_the_bit(dtype: torch.dtype) -> None:
    given, fetched = losses(dtype=dtype), FetchedLosses(losses(dtype=dtype))
    assert list(fetched) == ["a", "b", "c"]
    for name, expected in given.items():
        got = fetched[name]
        assert list(got.parts) == list(expected.parts)
        for one, other in zip(values_of(got), values_of(expected), strict=True):
            assert (one.dtype, one.shape) == (other.dtype, other.shape)
            assert float(one).hex() == float(other).hex()


def test_nan_stays_nan_and_shapes_stay() -> None:
    fetched = FetchedLosses({"a": Losses(torch.tensor(math.nan), {"count": torch.tensor([7])})})
    assert math.isnan(fetched["a"].total)
    assert fetched["a"].parts["count"].tolist() == [7]


def test_one_wait_for_all_observers_and_none_for_nobody() -> None:
    with pretended_gpu() as gpu:
        fetched = FetchedLosses(losses("cuda"))
        with gpu.recorded() as waits:
            assert len(fetched) == len(list(fetched.keys())) == 3
        assert not waits
        with gpu.recorded() as waits:
            for _ in range(2):  # observers
                for of_task in fetched.values():
                    assert not of_task.total.is_cuda
                    sum(float(value) for value in values_of(of_task))
        assert [wait.what for wait in waits] == ["cpu from the device"]


def test_a_part_that_lies_on_the_host_already_is_taken() -> None:
    with pretended_gpu() as gpu:
        fetched = FetchedLosses({"a": Losses(torch.ones((), device="cuda"), {"count": torch.tensor(3)})})
        with gpu.recorded() as waits:
            assert (float(fetched["a"].total), int(fetched["a"].parts["count"])) == (1.0, 3)
        assert len(waits) == 1


def test_observers_get_them() -> None:
    seen: list[Mapping[str, Losses]] = []

    class Hook:
        def umbel_step_finished(self, losses: Mapping[str, Losses], **others: Any) -> None:
            seen.append(losses)

    Observers(Hook()).step_finished(None, 1, losses(), 0.1)  # type: ignore[arg-type]
    assert isinstance(seen[0], FetchedLosses)
    assert float(seen[0]["a"].total) == float(losses()["a"].total)
