"""Large views that memory does not suffice for are refused before the system ends the process."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from trio import make_run

import umbel
from umbel import DataError
from umbel.predict import room
from umbel.predict.room import free_bytes


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> umbel.TrainedModel:
    return umbel.load(make_run(tmp_path_factory.mktemp("room") / "run"))


def test_what_does_not_fit_is_refused_with_numbers(model: umbel.TrainedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.zeros((96, 128, 3), np.uint8)
    monkeypatch.setattr(room, "ASKED_FROM", 96 * 100)
    monkeypatch.setattr(room, "free_bytes", lambda device: 96 * 128 * 20)  # floats of the image alone take 12
    with pytest.raises(DataError, match=r"task 'road' at 128 x 96 pixels, which takes .* are free.*--size H W"):
        model.predict(image)
    assert set(model.predict(image, size=(64, 64))) == {"road", "vehicles", "signs"}
    assert model.predict(image, "vehicles") is not None  # looks at 64 x 64 pixels
    monkeypatch.setattr(room, "free_bytes", lambda device: 96 * 128 * 2000)
    assert set(model.predict(image)) == {"road", "vehicles", "signs"}


def test_a_pixel_costs_what_torch_holds_for_it(model: umbel.TrainedModel) -> None:
    with model.runtime.eval_mode():
        cost = room._bytes_a_pixel(model.runtime, model.tasks["road"])
    assert 12 <= cost < 200  # normalised floats are 12; this backbone is tiny


def test_free_memory_is_what_the_system_says() -> None:
    free = free_bytes(torch.device("cpu"))
    total = int(Path("/proc/meminfo").read_text().split()[1]) * 1024
    assert free is not None
    assert 0 < free <= total
    assert free_bytes(torch.device("meta")) is None
