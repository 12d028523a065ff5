"""Whole runs over data with bad samples: counted, reported, and bit-equal when they are resumed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch
from toys import BrightDataset

from umbel.contract.errors import DataError
from umbel.contract.types import Sample
from umbel.training.run import Run
from umbel.training.runtime_state import runtime_state_dict

Launch = Callable[..., Run]
BUDGET = "train.bad_samples=0.5"


def spoil(monkeypatch: pytest.MonkeyPatch, split: str) -> None:
    read = BrightDataset.__getitem__

    def spoilt(self: Any, index: int) -> Sample:
        if split in self.name and index in (1, 3):
            raise DataError("is truncated", where=f"{self.name}/{index}.jpg")
        return read(self, index)

    monkeypatch.setattr(BrightDataset, "__getitem__", spoilt)


def tensors(run: Run) -> dict[str, torch.Tensor]:
    return {
        f"{stem}/{name}": value
        for stem, named in runtime_state_dict(run.runtime)[0].items()
        for name, value in named.items()
    }


def test_resumed_run_with_bad_samples_is_bit_equal(launch: Launch, monkeypatch: pytest.MonkeyPatch) -> None:
    spoil(monkeypatch, "train")
    straight = launch("straight", BUDGET, "train.save_every=1")
    found = json.loads((straight.directory / "bad_samples.json").read_text())
    assert {entry["index"] for entry in found} == {1, 3}
    assert all(entry["reason"].endswith(".jpg: is truncated") for entry in found)
    launch("broken", BUDGET, "train.save_every=1", stop=6)
    resumed = launch("broken", BUDGET, "train.save_every=1", "tasks.first.workers=1", resume=True)
    one, other = tensors(straight), tensors(resumed)
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert resumed.parts.bad_samples.found == straight.parts.bad_samples.found


def test_without_a_budget_it_stops(launch: Launch, monkeypatch: pytest.MonkeyPatch) -> None:
    spoil(monkeypatch, "train")
    with pytest.raises(DataError, match="is truncated"):
        launch("out")


def test_evaluation_never_takes_another_sample(launch: Launch, monkeypatch: pytest.MonkeyPatch) -> None:
    spoil(monkeypatch, "val")
    with pytest.raises(DataError, match="is truncated"):
        launch("out", BUDGET)
