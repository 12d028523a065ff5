"""Fixtures of the classification tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from umbel import TaskConfig, write_image
from umbel.tasks.classification.options import ClassificationOptions
from umbel.tasks.classification.task import Classification


@pytest.fixture
def cls_root(tmp_path: Path) -> Path:
    """Two images of each of two classes in train, one in val."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 2), ("val", 1)):
        for name in ("truck", "car"):
            for index in range(count):
                image = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
                write_image(tmp_path / split / name / f"{index}.jpg", image)
    return tmp_path


@pytest.fixture
def make_classification(tmp_path: Path) -> Callable[..., Classification]:
    """Builds a task; keyword arguments are options, `config` holds those of the task configuration."""

    def build(config: dict[str, Any] | None = None, **options: Any) -> Classification:
        settings = {"kind": "classification", "input_size": (64, 64), **(config or {})}
        options = {"root": str(tmp_path), "class_names": list("abcdef"), "reduction": 4, **options}
        return Classification("cars", TaskConfig(**settings), ClassificationOptions(**options))

    return build
