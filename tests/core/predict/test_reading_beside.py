"""Prediction that reads in a thread: the results, failures and order of one that reads in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from umbel.config.load import load_recipe
from umbel.contract.errors import DataError
from umbel.io.images import write_image
from umbel.predict.files import predict_files
from umbel.predict.predictor import Predictor
from umbel.predict.reading import read_files
from umbel.registry.plugins import Plugins
from umbel.training.prepare import prepare


@pytest.fixture
def predictor(recipe_file: Path, new_plugins: Callable[[], Plugins], tmp_path: Path) -> Callable[[int], Predictor]:
    run = prepare(load_recipe(str(recipe_file), (), new_plugins()), tmp_path / "unused")

    def make(workers: int) -> Predictor:
        tasks: dict[str, Any] = {
            name: type(task)(name, replace(task.config, workers=workers), task.options)
            for name, task in run.tasks.items()
        }
        return Predictor(run.runtime, tasks)

    return make


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    for number in range(7):
        size = (40, 48) if number % 3 else (24, 32)
        write_image(tmp_path / f"images/{number}.png", rng.integers(0, 256, (*size, 3), np.uint8))
    (tmp_path / "images/3.png").write_bytes(b"no picture")
    (tmp_path / "images/6.png").write_bytes((tmp_path / "images/5.png").read_bytes()[:200])
    return tmp_path / "images"


@pytest.mark.parametrize("batch", [1, 2, 4])
def test_a_folder(predictor: Callable[[int], Predictor], folder: Path, tmp_path: Path, batch: int) -> None:
    found = []
    for workers in (0, 2):
        out = tmp_path / f"out-{workers}"
        outcome = predict_files(predictor(workers), [folder], out, ("json", "pictures"), batch)
        content = {file.relative_to(out): file.read_bytes() for file in sorted(out.rglob("[!.]*")) if file.is_file()}
        written = [path.relative_to(out) for path in outcome.written]
        found.append((written, [str(error) for error in outcome.failed], content))
    assert found[0] == found[1]
    assert ["3.png" in text or "6.png" in text for text in found[0][1]] == [True, True]


def test_a_list_and_a_stream(predictor: Callable[[int], Predictor], folder: Path) -> None:
    files = [file for file in sorted(folder.iterdir()) if file.name not in ("3.png", "6.png")]
    asked: list[Path] = []

    def camera() -> Iterator[Path]:
        for file in files:
            asked.append(file)
            yield file

    in_turn = [result.to_json() for result in predictor(0).stream(files, 2)]
    assert [result.to_json() for result in predictor(1).stream(files, 2)] == in_turn
    stream = predictor(1).stream(camera(), 2)
    assert next(stream).to_json() == in_turn[0]
    assert asked == files[:2]  # no more than are predicted together: it may be live
    assert [result.to_json() for result in stream] == in_turn[1:]
    with pytest.raises(DataError, match=r"3\.png"):
        list(predictor(1).stream(sorted(folder.iterdir()), 2))


def test_memory_that_does_not_suffice_to_read_is_the_files_own_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(path: Path) -> np.ndarray:
        raise MemoryError

    monkeypatch.setattr("umbel.predict.reading.read_image", read)
    ((file, error),) = read_files([folder / "0.png"], 1)
    assert isinstance(error, DataError)
    assert (file.name, error.kind) == ("0.png", "memory")
