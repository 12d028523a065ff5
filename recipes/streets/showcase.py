"""Training the demonstration, or using what is there, and drawing what it learnt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from umbel import (
    ConfigError,
    Sample,
    Task,
    TrainedModel,
    drawn,
    hold,
    load,
    put_label,
    read_json,
    read_scores,
    resize_image,
    train,
    write_image,
    write_json,
    writing,
)

COLUMNS = 4

TILE_HEIGHT = 192

OVERRIDES = "overrides.json"


def check_reusable(run: Path, overrides: Sequence[str]) -> None:
    """Raise ConfigError if a folder holds a run of another demonstration, which must not be lost or mixed up."""
    made = run / OVERRIDES
    if made.is_file() and read_json(made) != list(overrides):
        raise ConfigError("holds a run of another demonstration", where=str(run), hint="choose another --out")


def train_or_reuse(run: Path, overrides: Sequence[str]) -> dict[str, float]:
    """Scores of the demonstration's run: read if it has ended, gone on with if it was interrupted, else trained."""
    check_reusable(run, overrides)
    if (run / "scores.json").is_file():
        return read_scores(run / "scores.json")
    with hold(run, "umbel demo"):
        resume = (run / "checkpoints" / "latest").is_file()
        with writing(run, [OVERRIDES], "choices of the demonstration", replace=resume):
            write_json(run / OVERRIDES, list(overrides))
        return train("demo", overrides, out=run, resume=resume)


def draw_examples(run: Path, out: Path) -> Iterator[Path]:
    """One sheet a task: validation images with the prediction above the truth; yields the files written."""
    trained = load(run)
    with writing(out, [f"{name}.jpg" for name in trained.tasks], "examples of the demonstration"):
        for name, task in trained.tasks.items():
            path = out / f"{name}.jpg"
            write_image(path, _sheet(trained, name, task))
            yield path


def _sheet(trained: TrainedModel, name: str, task: Task[object]) -> np.ndarray:
    dataset = task.dataset("val")
    step = max(1, len(dataset) // COLUMNS)  # type: ignore[arg-type]
    samples: list[Sample] = [dataset[index * step] for index in range(COLUMNS)]
    predicted = [drawn(task, s.image, trained.predict(s.image, name)[name]) for s in samples]
    truth = [drawn(task, s.image, s.target) for s in samples]
    return np.concatenate([_row(predicted, "predicted"), _row(truth, "truth")])


def _row(pictures: Sequence[np.ndarray], caption: str) -> np.ndarray:
    tiles = []
    for picture in pictures:
        width = round(picture.shape[1] * TILE_HEIGHT / picture.shape[0])
        tile = np.full((TILE_HEIGHT + 8, width + 8, 3), 255, np.uint8)
        tile[4:-4, 4:-4] = resize_image(picture, (TILE_HEIGHT, width))
        tiles.append(tile)
    row = np.concatenate(tiles, axis=1)
    put_label(row, caption, (6, TILE_HEIGHT), (255, 255, 255))
    return row
