"""Evaluation that reads in a thread, against one that reads in turn: the same predictions, scores, errors and end."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from torch.utils.data import Dataset
from toys import BrightTask

from umbel.config.load import load_recipe
from umbel.contract.errors import DataError, StopRequestedError
from umbel.contract.types import Sample
from umbel.data import worker_counts
from umbel.evaluate.evaluate import evaluate, evaluate_task, predict_dataset
from umbel.registry.plugins import Plugins
from umbel.training.prepare import prepare
from umbel.training.run import Run


@pytest.fixture
def run(recipe_file: Path, new_plugins: Callable[[], Plugins], tmp_path: Path) -> Run:
    overrides = ("tasks.first.batch_size=5", "tasks.first.options.count=23", "train.ema_decay=0.9")
    return prepare(load_recipe(str(recipe_file), overrides, new_plugins()), tmp_path / "unused")


class Watched(Dataset[Sample]):
    """The data of a task, read slowly if wanted, with one sample that is torn; it notes who reads."""

    def __init__(self, data: Any, torn: int | None = None, seconds: float = 0.0) -> None:
        self.data, self.torn, self.seconds = data, torn, seconds
        self.readers: set[str] = set()

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> Sample:
        self.readers.add(threading.current_thread().name.split("_")[0])
        time.sleep(self.seconds)
        if index == self.torn:
            raise DataError("is torn", where="7.jpg")
        sample: Sample = self.data[index]
        return sample


def with_workers(task: BrightTask, workers: int | str) -> BrightTask:
    return type(task)(task.name, replace(task.config, workers=workers), task.options)


def predicted(run: Run, workers: int | str, data: Any) -> tuple[list[str], list[Any], str]:
    """Ids and predictions in order, and the error that ended them."""
    ids: list[str] = []
    predictions: list[Any] = []
    with run.runtime.eval_mode():
        try:
            for samples, found in predict_dataset(run.runtime, with_workers(run.tasks["first"], workers), data):
                ids += [sample.id for sample in samples]
                predictions += found
        except DataError as error:
            return ids, predictions, str(error)
    return ids, predictions, ""


@pytest.mark.parametrize("workers", [1, "auto"])
@pytest.mark.parametrize("torn", [None, 0, 7, 22])
def test_predictions_and_errors_are_those_of_reading_in_turn(
    run: Run, monkeypatch: pytest.MonkeyPatch, workers: int | str, torn: int | None
) -> None:
    monkeypatch.setattr(worker_counts, "available_cpus", lambda: 2)
    plain, beside = Watched(run.data.val["first"], torn), Watched(run.data.val["first"], torn)
    expected = predicted(run, 0, plain)
    assert predicted(run, workers, beside) == expected
    assert len(expected[0]) == (len(plain) if torn is None else torn - torn % 5)
    assert (plain.readers, beside.readers) == ({"MainThread"}, {"umbel-reads"})


def test_scores_are_equal_to_the_bit(run: Run) -> None:
    tasks: list[dict[str, Any]] = [
        {name: with_workers(task, workers) for name, task in run.tasks.items()}  # type: ignore[arg-type]
        for workers in (0, 3)
    ]
    one, other = (evaluate(run.runtime, each, run.data.val, "mean") for each in tasks)
    assert one == other


@pytest.mark.parametrize("world", [2, 3, 7])
def test_uneven_shares_are_the_whole_in_order(run: Run, world: int) -> None:
    whole, predictions, _ = predicted(run, 0, run.data.val["first"])
    run.runtime.world_size = world
    shares = []
    for rank in range(world):
        run.runtime.rank = rank
        shares.append(predicted(run, 1, run.data.val["first"]))
    assert [name for share in shares for name in share[0]] == whole
    assert [value for share in shares for value in share[1]] == predictions


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("umbel-reads")]


def test_an_interruption_ends_it_before_the_next_batch(run: Run) -> None:
    calls = []

    def interrupt() -> None:
        calls.append(None)
        if len(calls) == 3:
            raise StopRequestedError

    task, data = with_workers(run.tasks["first"], 1), run.data.val["first"]
    with pytest.raises(StopRequestedError) as caught:
        evaluate_task(run.runtime, task, data, None, interrupt)
    assert caught.value.__traceback__ is not None  # which keeps every frame
    assert len(calls) == 3
    assert threads() == []


def test_control_c_ends_it_at_once_and_leaves_no_thread(run: Run) -> None:
    data = Watched(run.data.val["first"], seconds=0.2)
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    started = time.monotonic()
    try:
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            evaluate_task(run.runtime, with_workers(run.tasks["first"], 1), data)
    finally:
        timer.join()
        signal.signal(signal.SIGINT, before)
    assert time.monotonic() - started < 3.0  # of 4.6 that reading takes
    assert threads() == []
