"""Fixtures of the segmentation tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from umbel import TaskConfig, write_image
from umbel.tasks.segmentation.options import SegmentationOptions
from umbel.tasks.segmentation.task import Segmentation

NAMES = ["sky", "road", "tree"]
SPLITS = {"train": ["a", "b"], "val": ["c"]}


@pytest.fixture
def seg_root(tmp_path: Path) -> Path:
    """A data set of three 12 x 16 images with classes 0..2 and ignored pixels."""
    rng = np.random.default_rng(0)
    for split, stems in SPLITS.items():
        (tmp_path / f"{split}.txt").write_text("\n".join(stems) + "\n")
        for stem in stems:
            write_image(tmp_path / "images" / f"{stem}.jpg", rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
            labels = rng.integers(0, 3, (12, 16), dtype=np.uint8)
            labels[0] = 255
            write_image(tmp_path / "masks" / f"{stem}.png", labels)
    (tmp_path / "classes.txt").write_text("\n".join(NAMES) + "\n")
    return tmp_path


@pytest.fixture
def make_segmentation(tmp_path: Path) -> Callable[..., Segmentation]:
    """Builds a task; keyword arguments are options, `config` holds those of the task configuration."""

    def build(config: dict[str, Any] | None = None, **options: Any) -> Segmentation:
        settings = {"kind": "segmentation", "input_size": (32, 64), **(config or {})}
        options = {"root": str(tmp_path), "class_names": NAMES, "width": 8, "aux_width": 6, **options}
        return Segmentation("road", TaskConfig(**settings), SegmentationOptions(**options))

    return build
