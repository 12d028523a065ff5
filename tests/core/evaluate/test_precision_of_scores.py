"""On a CPU scores are computed in fp32, however the run has trained: by `train`, by `evaluate`, by more threads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from trio import make_run
from trio_data import write_trio

import umbel
from umbel.testing.same import difference


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("threads")
def test_training_and_evaluating_a_run_in_bf16_score_the_same(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    run, overrides = tmp_path / "run", ("train.steps=3", "train.precision=bf16", "train.device=cpu")
    scores = umbel.train(write_trio(tmp_path), overrides, out=run, quiet=True)
    assert umbel.load(run).evaluate() == scores
    torch.set_num_threads(2)
    assert umbel.load(run).evaluate() == pytest.approx(scores, abs=1e-6)


@pytest.mark.usefixtures("threads")
def test_predictions_of_a_run_in_bf16_are_those_of_fp32(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", "train.precision=bf16", "tasks.road.tta={hflip: true}")
    images = [np.random.default_rng(seed).integers(0, 256, (64, 96, 3)).astype(np.uint8) for seed in (0, 1)]

    def predictions(*overrides: str) -> list[dict[str, Any]]:
        model = umbel.load(run, overrides=overrides)
        return [{name: result[name] for name in model.tasks} for result in map(model.predict, images)]

    torch.set_num_threads(1)
    alone = predictions()
    assert difference(alone, predictions("train.precision=fp32")) == ""
    torch.set_num_threads(2)
    assert difference(alone, predictions(), 1e-5) == ""
