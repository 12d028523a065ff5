"""Sheets of training samples: the right samples, drawn by their task, in a grid."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from toys import BrightTask

from umbel.config.build import build_tasks
from umbel.config.load import load_recipe
from umbel.data.loader import CompositeLoader
from umbel.io.images import read_image
from umbel.registry.plugins import Plugins
from umbel.workflows.check.sample_sheet import COUNT, GAP, SHEET, tile, write_sheet


def test_sheets_show_the_first_samples_of_training(
    recipe_file: Path, new_plugins: Callable[[], Plugins], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[np.ndarray, float]] = []

    def draw(self: BrightTask, image: np.ndarray, prediction: float) -> np.ndarray:
        drawn.append((image, prediction))
        return np.full_like(image, 200)

    monkeypatch.setattr(BrightTask, "draw", draw, raising=False)
    plugins = new_plugins()
    recipe = load_recipe(str(recipe_file), ("train.seed=3",), plugins).typed
    tasks = build_tasks(recipe, plugins)
    data = {name: task.dataset("train") for name, task in tasks.items()}
    path = write_sheet(tasks["second"], data["second"], 3, tmp_path / "new" / "folder")
    assert path == tmp_path / "new" / "folder" / "second.jpg"
    batches = [batch["second"] for batch in CompositeLoader(tasks, data, seed=3, start=0, stop=COUNT // 3)]
    trained = [image.permute(1, 2, 0).numpy() for batch in batches for image in batch.images]
    targets = [float(target) for batch in batches for target in batch.targets]
    assert len(drawn) == COUNT  # more than its 7 samples: the second epoch begins
    assert all(np.array_equal(image, expected) for (image, _), expected in zip(drawn, trained, strict=True))
    assert [target for _, target in drawn] == pytest.approx(targets)
    sheet = read_image(path)
    assert abs(int(sheet[GAP + 20, GAP + 20, 0]) - 200) < 3
    assert int(sheet[1, 1, 0]) > 250


@pytest.mark.parametrize(
    ("size", "count", "grid"), [((512, 1024), 12, (4, 3)), ((448, 448), 12, (3, 4)), ((96, 96), 5, (2, 3))]
)
def test_grids_are_near_4_by_3_and_fill_a_screen(size: tuple[int, int], count: int, grid: tuple[int, int]) -> None:
    pictures = [np.full((*size, 3), 10 * index, np.uint8) for index in range(count)]
    sheet = tile(pictures)
    rows, columns = grid
    assert SHEET / 2 < max(sheet.shape[:2]) <= SHEET + (max(grid) + 1) * GAP
    height, width = (side // cells for side, cells in zip(sheet.shape[:2], grid, strict=True))
    assert width / height == pytest.approx(size[1] / size[0], rel=0.03)
    for index in range(rows * columns):
        middle = sheet[index // columns * height + height // 2, index % columns * width + width // 2]
        assert middle.tolist() == [10 * index if index < count else 255] * 3
