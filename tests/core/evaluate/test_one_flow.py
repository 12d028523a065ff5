"""Evaluating, predicting and the table of test-time augmentation say the same of an image, to the bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torchmetrics import Metric
from trio import make_run

import umbel
from umbel.contract.task_config import ORIGINAL, TtaVariant
from umbel.contract.types import Sample
from umbel.evaluate.evaluate import evaluate_task
from umbel.evaluate.tta_table import evaluate_variants
from umbel.testing.same import arrays_in, difference

SIZES = ((64, 64), (50, 90), (96, 64))  # as the model sees it, padded or stretched, and larger
TTA = {"single view": "{}", "scales and flip": "{scales: [1.0, 1.5], hflip: true}", "mirrored": "{hflip: true}"}


class Recorder(Metric):
    """Keeps the predictions that it is to judge."""

    def __init__(self, main: str) -> None:
        super().__init__()
        self.main = main
        self.seen: list[Any] = []

    def update(self, predictions: list[Any], targets: list[Any]) -> None:
        self.seen += predictions

    def compute(self) -> dict[str, torch.Tensor]:
        return {self.main: torch.zeros(())}


@pytest.mark.parametrize("tta", TTA)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_evaluate_predict_and_tta_are_equal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tta: str, precision: str
) -> None:
    overrides = [
        f"tasks.{name}.{key}" for name in ("road", "vehicles", "signs") for key in (f"tta={TTA[tta]}", "batch_size=1")
    ]
    model = umbel.load(make_run(tmp_path / "run", *overrides, f"train.precision={precision}"))
    generator = np.random.default_rng(0)
    images = [generator.integers(0, 256, (*size, 3)).astype(np.uint8) for size in SIZES]
    samples: Any = [
        Sample(image, None, str(number), size) for number, (image, size) in enumerate(zip(images, SIZES, strict=True))
    ]
    predicted = [model.predict(image) for image in images]
    for name, task in model.tasks.items():
        made: list[Recorder] = []

        def metric(self: Any, made: list[Recorder] = made) -> Recorder:
            made.append(Recorder(self.main_metric))
            return made[-1]

        with monkeypatch.context() as patch:
            patch.setattr(type(task), "metric", metric)
            evaluate_task(model.runtime, task, samples)
            variants = [TtaVariant(ORIGINAL), TtaVariant("chosen", task.config.tta)]
            evaluate_variants(model.runtime, task, variants, samples, None)
        evaluated, original, chosen = (recorder.seen for recorder in made)
        expected = [result[name] for result in predicted]
        assert any(array.size for array in map(np.asarray, arrays_in(expected)))
        assert difference(evaluated, expected) == ""
        assert difference(chosen, expected) == ""
        assert (difference(original, expected) == "") == (tta == "single view")
