"""The contracts without pytest, and a main metric that an untrained model meets by luck."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from good_task import Shade, ShadeContract
from torch import Tensor
from torchmetrics import Metric

from umbel.testing import ContractFault
from umbel.testing.check_predictions import _main_score, check_metric_direction, prediction_of
from umbel.testing.fixture import TaskFixture

WITHOUT_PYTEST = """
import sys
sys.modules["pytest"] = None
import umbel.testing
help(umbel.testing.TaskContract)
help(umbel.testing.BackboneContract)
try:
    umbel.testing.TaskContract().fixture(None)
except umbel.UmbelError as error:
    print(error)
"""


def test_contracts_are_read_without_pytest() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_PYTEST], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "test_main_metric_is_higher_for_better" in done.stdout
    assert "umbel.testing: pytest runs the contracts and is not installed (pip install pytest" in done.stdout


LIMIT = 0.15  # of what untrained models say some is above it and some below


class Coarse(Metric):
    """Share of images whose mean is on the right side of a limit: a few images are met by luck."""

    right: Tensor
    count: Tensor
    sign = 1.0

    def __init__(self) -> None:
        super().__init__()
        self.add_state("right", torch.zeros((), dtype=torch.float64), "sum")
        self.add_state("count", torch.zeros((), dtype=torch.int64), "sum")

    def update(self, predictions: Sequence[Tensor], targets: Sequence[np.ndarray]) -> None:
        for prediction, target in zip(predictions, targets, strict=True):
            self.right += float((float(prediction.float().mean()) > LIMIT) == (float(target.mean()) > LIMIT))
            self.count += 1

    def compute(self) -> dict[str, Tensor]:
        share = self.right / self.count
        return {"closeness": share if self.sign > 0 else 1 - share}


class Wrong(Coarse):
    sign = -1.0


class CoarseTask(Shade):
    def metric(self) -> Metric:
        return Coarse()


class WrongTask(Shade):
    def metric(self) -> Metric:
        return Wrong()


def direction(task_class: type[Shade], seed: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Contract(ShadeContract):
        task = task_class

    new_model = TaskFixture.new_model

    def other_weights(self: TaskFixture, *given: Any, seed: int = 0, **named: Any) -> Any:
        return new_model(self, *given, seed=1000 * offset + seed, **named)

    offset = seed
    monkeypatch.setattr(TaskFixture, "new_model", other_weights)
    check_metric_direction(TaskFixture(Contract(), folder))
    monkeypatch.setattr(TaskFixture, "new_model", new_model)


def test_luck_fails_no_right_metric(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(12):
        for task in (Shade, CoarseTask):
            folder = tmp_path / f"{seed}{task.__name__}"
            folder.mkdir()
            direction(task, seed, folder, monkeypatch)


def test_an_untrained_model_is_lucky_at_times(tmp_path: Path) -> None:
    class Contract(ShadeContract):
        task = CoarseTask

    fixture = TaskFixture(Contract(), tmp_path)
    targets = [sample.target for sample in fixture.samples("val")]
    scores = set()
    for seed in range(24):
        predictions = [prediction_of(fixture, sample, ideal=False, seed=seed) for sample in fixture.samples("val")]
        scores.add(_main_score(fixture.task, predictions, targets))
    assert scores == {0.0, 1.0}


@pytest.mark.parametrize("seed", range(6))
def test_metric_that_is_lower_for_better_is_found_all_the_same(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ContractFault, match="must be higher for better"):
        direction(WrongTask, seed, tmp_path, monkeypatch)
