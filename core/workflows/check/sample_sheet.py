"""Sheets of augmented training samples with their labels: what a task is really trained on, to look at."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from torch.utils.data import Dataset

from umbel.contract.defaults import drawn
from umbel.contract.task import Task
from umbel.contract.types import Sample, Size
from umbel.data.sources import SharedImages
from umbel.data.streams import open_streams
from umbel.io.images import write_image
from umbel.io.written import write_new

COUNT = 12

SHEET = 1920  # pixels: about the longer side of a sheet

GAP = 6

WHITE = 255

SHEETS = "sheet of samples"  # what its files are, for `umbel.io.written`


def write_sheet(
    task: Task[Any], dataset: Dataset[Sample], seed: int, folder: Path, source: SharedImages | None = None
) -> Path:
    """Draw the first training samples of a task, exactly those that training starts with, into folder/TASK.jpg.

    Args:
        task: augments and draws.
        dataset: its training data.
        seed: the run's seed.
        folder: made if need be.
        source: the images of the task, where it shares them; those with its label are drawn.
    """
    path = folder / sheet_name(task)
    with write_new(path, SHEETS):
        write_image(path, tile(_pictures(task, dataset, seed, source)))
    return path


def sheet_name(task: Task[Any]) -> str:
    """The file of a task's sheet."""
    return f"{task.name}.jpg"


def _pictures(task: Task[Any], dataset: Dataset[Sample], seed: int, source: SharedImages | None) -> list[np.ndarray]:
    shared = {} if source is None else {source.name: source.of(task.name)}
    (stream,) = open_streams({task.name: task}, {task.name: dataset}, shared, seed=seed, allowed={})
    pictures = []
    for key in stream.order.keys(0, COUNT):
        loaded = stream.view.sample(key)
        sample = loaded if isinstance(loaded, Sample) else loaded[task.name]
        pictures.append(drawn(task, sample.image, sample.target))
    return pictures


def tile(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """A sheet of pictures of one size, row by row, shrunk or enlarged so that its longer side is about `SHEET`.

    Args:
        pictures: one or more (H, W, 3) uint8.
    """
    height, width = pictures[0].shape[:2]
    columns = _columns(len(pictures), (height, width))
    rows = -(-len(pictures) // columns)
    scale = SHEET / max(columns * width, rows * height)
    if scale > 1:
        scale = max(1, math.floor(scale))  # whole pixels of small pictures stay square
    smooth = cv2.INTER_NEAREST if scale > 1 else cv2.INTER_AREA
    cell = (max(1, round(height * scale)), max(1, round(width * scale)))
    sheet = np.full((rows * (cell[0] + GAP) + GAP, columns * (cell[1] + GAP) + GAP, 3), WHITE, np.uint8)
    for index, picture in enumerate(pictures):
        top = GAP + index // columns * (cell[0] + GAP)
        left = GAP + index % columns * (cell[1] + GAP)
        sheet[top : top + cell[0], left : left + cell[1]] = cv2.resize(picture, cell[::-1], interpolation=smooth)
    return sheet


def _columns(count: int, size: Size) -> int:
    """The number of columns that makes the sheet of `count` pictures nearest to 4 : 3."""

    def distance(columns: int) -> float:
        rows = -(-count // columns)
        return abs(math.log(columns * size[1] / (rows * size[0]) / (4 / 3)))

    return min(range(1, count + 1), key=distance)
