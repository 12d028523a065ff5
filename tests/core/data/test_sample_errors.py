"""A data set or transform of somebody else raises what it likes: the sample is named, counted and replaced."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from toys import BrightDataset, BrightOptions, BrightTask

from umbel.contract.errors import ConfigError, DataError, StopRequestedError
from umbel.contract.task_config import TaskConfig
from umbel.contract.types import Batch, Sample
from umbel.data.bad_samples import CorruptSamples
from umbel.data.datasets import load_datasets
from umbel.data.loader import CompositeLoader
from umbel.data.sample_errors import sample_errors
from umbel.training.run import Run

BAD = 4
TASK = BrightTask("a", TaskConfig(kind="bright", batch_size=1, input_size=(8, 8)), BrightOptions())
Fault = Callable[[], object]


def fails_in_opencv() -> None:
    cv2.resize(np.zeros((0, 0, 3), np.uint8), (8, 8))


def stops() -> None:
    next(iter(()))


FAULTS: dict[str, tuple[Fault, str]] = {
    "ValueError": (lambda: int("3,5"), "ValueError: invalid literal for int"),
    "OSError": (lambda: Image.open(Path("/nowhere/4.png")), r"FileNotFoundError: .*/nowhere/4\.png"),
    "KeyError": (lambda: {"car": 1}["lorry"], "KeyError: 'lorry'"),
    "IndexError": (lambda: [][1], "IndexError: list index out of range"),
    "TypeError": (lambda: len(3), "TypeError: object of type 'int' has no len"),  # type: ignore[arg-type]
    "cv2.error": (fails_in_opencv, "error: OpenCV"),
    "StopIteration": (stops, "StopIteration: "),
}


def task(fault: Fault, part: str, workers: int = 0) -> BrightTask:
    """A task one of whose samples cannot be stored, or cannot be augmented."""

    class Data(BrightDataset):
        def __getitem__(self, index: int) -> Sample:
            if index == BAD and part == "dataset":
                fault()
            return super().__getitem__(index)

    class Foreign(BrightTask):
        def dataset(self, split: str) -> Data:
            return Data(f"{self.name}-{split}", self.options, self.config.input_size)

        def augment(self, sample: Sample, rng: np.random.Generator) -> Sample:
            if sample.id == f"bright-{BAD}" and part == "augment":
                fault()
            return super().augment(sample, rng)

    return Foreign("a", TaskConfig("bright", 4, (16, 8), workers), BrightOptions(9))


def load(made: BrightTask, budget: float = 0, steps: int = 6) -> tuple[list[Batch], CorruptSamples]:
    bad = CorruptSamples.within(budget, {"a": 9})
    tasks: dict[str, Any] = {"a": made}
    return [
        batches["a"]
        for batches in CompositeLoader(
            tasks, load_datasets(tasks, "train"), seed=3, start=0, stop=steps, bad_samples=bad
        )
    ], bad


@pytest.mark.parametrize("part", ["dataset", "augment"])
@pytest.mark.parametrize("name", FAULTS)
def test_first_stops_the_run_by_the_name_of_its_sample(name: str, part: str) -> None:
    fault, text = FAULTS[name]
    with pytest.raises(DataError, match=text) as caught:
        load(task(fault, part))
    assert caught.value.where == f"task 'a', sample {BAD}" + (f" (bright-{BAD})" if part == "augment" else "")
    assert ".py:" in caught.value.message  # where it was raised
    assert caught.value.__cause__ is not None
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("part", ["dataset", "augment"])
@pytest.mark.parametrize("workers", [0, 1])
def test_within_a_budget_another_takes_its_place(part: str, workers: int, caplog: pytest.LogCaptureFixture) -> None:
    fault, text = FAULTS["KeyError"]
    with caplog.at_level(logging.WARNING):
        found, bad = load(task(fault, part, workers), budget=1)
    assert list(bad.found) == [("a", BAD)]
    assert text in bad.found["a", BAD].reason
    assert len(caplog.records) == 1
    seen = [id for batch in found for id in batch.ids]
    assert len(seen) == 24
    assert f"bright-{BAD}" not in seen
    straight, _ = load(task(lambda: None, part))
    for batch, whole in zip(found, straight, strict=True):  # all others are what they were
        kept = [n for n, id in enumerate(whole.ids) if id != f"bright-{BAD}"]
        assert [batch.ids[n] for n in kept] == [whole.ids[n] for n in kept]
        assert torch.equal(batch.images[kept], whole.images[kept])


@pytest.mark.parametrize("workers", [0, 1])
def test_the_line_at_fault_is_in_the_traceback_even_from_a_worker(workers: int) -> None:
    with pytest.raises(DataError) as caught:
        load(task(fails_in_opencv, "dataset", workers))
    shown = "".join(traceback.format_exception(caught.value))
    assert "cv2.resize(np.zeros((0, 0, 3), np.uint8), (8, 8))" in shown
    assert "direct cause" in shown


def test_more_than_the_budget_are_listed_by_kind() -> None:
    class Always(BrightTask):
        def augment(self, sample: Sample, rng: np.random.Generator) -> Sample:
            if sample.id[-1] in "1357":
                raise ZeroDivisionError("crop of no width")
            return super().augment(sample, rng)

    made = Always("a", TaskConfig("bright", 4, (16, 8)), BrightOptions(9))
    with pytest.raises(DataError, match=r"bad samples, more than the 2 allowed.*ZeroDivisionError: crop of no width"):
        load(made, budget=2)


@pytest.mark.parametrize("error", [ConfigError("no"), DataError("no", where="x"), MemoryError(), StopRequestedError()])
def test_what_no_other_sample_would_help_passes(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, sample_errors(TASK, 1):
        raise error
    assert caught.value is error


def test_long_messages_are_cut() -> None:
    with pytest.raises(DataError) as caught, sample_errors(TASK, 1):
        raise ValueError("lines\n" * 1000)
    assert len(str(caught.value)) < 450
    assert "\n" not in str(caught.value)


def test_evaluation_names_the_sample_too(launch: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    read = BrightDataset.__getitem__

    def spoilt(self: Any, index: int) -> Sample:
        if "val" in self.name and index == BAD:
            raise OSError(5, "Input/output error")
        return read(self, index)

    monkeypatch.setattr(BrightDataset, "__getitem__", spoilt)
    with pytest.raises(DataError, match=rf"task 'first', sample {BAD}: cannot be used: OSError: .*Input/output"):
        launch("out", "train.bad_samples=0.5")
