"""Copies one ahead: the same items in the same order on a CPU and on the pretended GPU, where no stream races."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from umbel.data.nested import map_tensors, tensors_in
from umbel.runtime.prefetch import copied_ahead
from umbel.testing.gpu import PretendedGpu, StreamRaceError, pretended_gpu

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)


@dataclass(frozen=True)
class Boxes:
    corners: Tensor
    names: tuple[str, ...]


def items(count: int, seen: list[int] | None = None, broken: int | None = None) -> Iterator[dict[str, Any]]:
    for number in range(count):
        if seen is not None:
            seen.append(number)
        if number == broken:
            raise ValueError("torn")
        boxes = Boxes(torch.full((2, 4), float(number)), ("a", "b"))
        yield {"number": number, "images": torch.full((1, 3, 4, 4), number), "targets": [(boxes, None)]}


def place(item: Any) -> Any:
    return map_tensors(lambda tensor: tensor.to("cuda", non_blocking=True), item)


@pytest.fixture
def gpu() -> Iterator[PretendedGpu]:
    with pretended_gpu() as device:
        yield device


def test_on_a_cpu_the_very_items_are_passed_on_one_at_a_time() -> None:
    seen: list[int] = []
    given = {"images": torch.ones(1)}
    assert next(copied_ahead(iter([given]), place, CPU)) is given
    passed = copied_ahead(items(3, seen), place, CPU)
    assert next(passed)["number"] == 0
    assert seen == [0]


def test_a_gpu_gets_the_same_items_one_ahead_and_nobody_waits(gpu: PretendedGpu) -> None:
    seen: list[int] = []
    with gpu.recorded() as waits:
        for number, item in enumerate(copied_ahead(items(4, seen), place, CUDA)):
            assert seen == list(range(min(number + 2, 4)))
            images, corners = tensors_in(item)
            assert gpu.holds(images)
            assert gpu.holds(corners)
            assert (item["number"], item["targets"][0][0].names) == (number, ("a", "b"))
            doubled = images * 2 + corners.sum()  # used by the stream that computes
    assert not waits
    assert doubled.flatten()[0].item() == 2 * 3 + 8 * 3
    assert list(copied_ahead(iter(()), place, CUDA)) == []


def test_what_is_copied_lies_in_pinned_memory(gpu: PretendedGpu) -> None:
    pinned: list[bool] = []

    def noting(item: Any) -> Any:
        pinned.extend(tensor.is_pinned() for tensor in tensors_in(item))
        return place(item)

    assert len(list(copied_ahead(items(2), noting, CUDA))) == 2
    assert pinned == [True] * 4


def test_an_error_comes_in_its_turn(gpu: PretendedGpu) -> None:
    passed = copied_ahead(items(4, broken=2), place, CUDA)
    assert [next(passed)["number"], next(passed)["number"]] == [0, 1]
    with pytest.raises(ValueError, match="torn"):
        next(passed)


def test_the_pretended_gpu_finds_a_race(gpu: PretendedGpu) -> None:
    """What `copied_ahead` must do, left out a piece at a time."""
    stream: Any = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        tensor = torch.ones(3).to("cuda", non_blocking=True)
        assert tensor.sum().item() == 3  # its own
    with pytest.raises(StreamRaceError, match="without waiting"):
        tensor.sum()
    torch.cuda.current_stream().wait_stream(stream)
    with pytest.raises(StreamRaceError, match="record_stream"):
        tensor.sum()
    tensor.record_stream(torch.cuda.current_stream())
    assert tensor.sum().item() == 3
    with torch.cuda.stream(stream):
        later = torch.ones(3).to("cuda", non_blocking=True)
    later.record_stream(torch.cuda.current_stream())
    with pytest.raises(StreamRaceError, match="without waiting"):  # the wait was for what came before
        later.sum()
