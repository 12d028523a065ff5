"""Images that tasks share go to the device once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from umbel.contract.types import Batch
from umbel.data.bad_samples import LoadedBatch
from umbel.runtime.move import move_batch
from umbel.training.loop import _placed


class Counting:
    """Moves to a device that has no memory, and counts the images that are copied."""

    def __init__(self) -> None:
        self.copied = 0

    def to_device(self, batch: Batch) -> Batch:
        self.copied += batch.images.device.type == "cpu"
        return move_batch(batch, torch.device("meta"), torch.channels_last)


def test_shared_images_are_copied_once_and_stay_shared() -> None:
    images, own = torch.zeros(2, 3, 8, 8, dtype=torch.uint8), torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    first = Batch(images, torch.zeros(2), ("x", "y"), ((8, 8),) * 2)
    step = {
        "a": LoadedBatch(first),
        "b": LoadedBatch(replace(first, targets=torch.ones(1), rows=torch.tensor([1]))),
        "rests": LoadedBatch(None),
        "own": LoadedBatch(Batch(own, torch.zeros(1), ("z",), ((8, 8),))),
    }
    runtime: Any = Counting()
    placed = {name: loaded.batch for name, loaded in _placed(runtime, step).items()}
    assert list(placed) == list(step)
    assert placed["rests"] is None
    a, b, alone = placed["a"], placed["b"], placed["own"]
    assert a is not None
    assert b is not None
    assert alone is not None
    assert a.images is b.images
    assert alone.images is not a.images
    assert runtime.copied == 2
    assert b.rows is not None
    assert {tensor.device.type for tensor in (a.images, b.targets, b.rows, alone.images)} == {"meta"}
