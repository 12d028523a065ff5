"""JPEG files of the paper's sizes to load: smooth noise, which compresses about as photographs do."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from umbel.contract.types import Size
from umbel.io.images import write_image


def write_pictures(folder: Path, size: Size, count: int) -> list[Path]:
    """`count` JPEG files of a height and width."""
    rng = np.random.default_rng(0)
    paths = []
    for n in range(count):
        coarse = rng.integers(0, 256, (size[0] // 24 + 2, size[1] // 24 + 2, 3), np.uint8)
        smooth = cv2.resize(coarse, (size[1], size[0]), interpolation=cv2.INTER_CUBIC)
        grain = rng.normal(0, 6, (*size, 3))
        path = folder / f"{size[0]}x{size[1]}-{n}.jpg"
        write_image(path, np.clip(smooth + grain, 0, 255).astype(np.uint8))
        paths.append(path)
    return paths
