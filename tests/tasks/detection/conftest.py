"""Shared inputs of the detection tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from umbel import TaskConfig, write_image, write_json
from umbel.tasks.detection.model.anchors import COCO_ANCHORS
from umbel.tasks.detection.options import DetectionOptions
from umbel.tasks.detection.task import Detection


@pytest.fixture
def anchors() -> Tensor:
    return torch.tensor(COCO_ANCHORS).view(3, 3, 2)


@pytest.fixture
def wave() -> Callable[..., Tensor]:
    """The golden files' inputs: s * sin(a * n + b) over the flat index n."""

    def make(shape: tuple[int, ...], a: float, b: float, s: float) -> Tensor:
        n = np.arange(int(np.prod(shape)), dtype=np.float64)
        return torch.from_numpy((s * np.sin(a * n + b)).astype(np.float32)).view(shape)

    return make


@pytest.fixture
def close() -> Callable[[Any, Any], None]:
    """Tensors agree to 1e-4 of the reference's largest value."""

    def check(found: Any, expected: Any) -> None:
        found = torch.as_tensor(found, dtype=torch.float64)
        expected = torch.as_tensor(expected, dtype=torch.float64)
        assert found.shape == expected.shape
        if expected.numel():
            assert (found - expected).abs().max() <= 1e-4 * expected.abs().max()

    return check


@pytest.fixture
def make_task() -> Callable[..., Detection]:
    def make(
        root: Path | str = "absent", size: tuple[int, int] = (64, 96), tta: Any = None, **options: Any
    ) -> Detection:
        config = TaskConfig(kind="detection", input_size=size)
        if tta is not None:
            config.tta = tta
        return Detection("signs", config, DetectionOptions(root=str(root), **options))

    return make


@pytest.fixture
def coco_folder(tmp_path: Path) -> Callable[..., Path]:
    """Writes a data set of one grey image of 40 x 30 a split, and returns its root."""

    def make(bboxes: list[Any] | None = None, **changes: Any) -> Path:
        for split in ("train", "val"):
            content = {
                "images": [{"id": 7, "file_name": "a.png", "width": 40, "height": 30}],
                "annotations": [
                    {"id": 100 + i, "image_id": 7, "category_id": 12, "bbox": bbox}
                    for i, bbox in enumerate(bboxes or [])
                ],
                "categories": [{"id": 12, "name": "stop"}, {"id": -3, "name": "yield"}],
            }
            write_json(tmp_path / "annotations" / f"{split}.json", content | (changes if split == "train" else {}))
            write_image(tmp_path / split / "a.png", np.full((30, 40, 3), 90, dtype=np.uint8))
        return tmp_path

    return make
