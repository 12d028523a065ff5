"""The pipeline one would write down from the paper: every step on the whole image, normalised on the CPU.

Segmentation: scale 0.5 to 2, rotate by up to 15 degrees, pad, crop, flip, colours, blur. Classification: resize, flip,
saturation, erase. Detection: crop of 0.3 to 0.6 of each side, resize, flip. Then normalise, channels first, float32.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import albumentations as A
import cv2
import numpy as np
from system import CLASSIFICATION, DETECTION, SEGMENTATION

from umbel.contract.types import Size

Pipeline = Callable[[Path, Any], np.ndarray]


def decode(path: Path) -> np.ndarray:
    """(H, W, 3) uint8 RGB by OpenCV."""
    data = np.frombuffer(path.read_bytes(), np.uint8)
    image: np.ndarray = cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    return image


def naive_pipeline(kind: str, size: Size) -> Pipeline:
    """Loads and augments a file with its label, into `size`."""
    height, width = size
    colours = [
        A.RandomBrightnessContrast(brightness_limit=0.4, contrast_limit=0.4, p=0.5),
        A.HueSaturationValue(hue_shift_limit=18, sat_shift_limit=40, val_shift_limit=0, p=0.5),
    ]
    steps: dict[str, list[Any]] = {
        SEGMENTATION: [
            A.RandomScale((-0.5, 1.0), p=1),
            A.Affine(rotate=(-15, 15), fit_output=True, p=1),
            A.PadIfNeeded(height, width, border_mode=cv2.BORDER_CONSTANT),
            A.RandomCrop(height, width),
            A.HorizontalFlip(p=0.5),
            *colours,
            A.GaussianBlur(blur_limit=(3, 9), p=0.3),
        ],
        CLASSIFICATION: [
            A.Resize(height, width, interpolation=cv2.INTER_CUBIC),
            A.HorizontalFlip(p=0.5),
            A.ColorJitter(brightness=0, contrast=0, saturation=0.4, hue=0, p=0.5),
            A.Erasing(scale=(0.02, 0.33), fill="random", p=0.5),
        ],
        DETECTION: [
            A.RandomResizedCrop((height, width), scale=(0.09, 0.36), ratio=(1, 1), p=1),
            A.HorizontalFlip(p=0.5),
        ],
    }
    boxes = A.BboxParams("pascal_voc", label_fields=["labels"]) if kind == DETECTION else None
    compose = A.Compose([*steps[kind], A.Normalize()], bbox_params=boxes)

    def load(path: Path, target: Any) -> np.ndarray:
        data: dict[str, Any] = {"image": decode(path)}
        if kind == SEGMENTATION:
            data["mask"] = target
        elif kind == DETECTION:
            data |= {"bboxes": target.boxes_N4, "labels": target.classes_N}
        image: np.ndarray = np.ascontiguousarray(compose(**data)["image"].transpose(2, 0, 1))
        return image

    return load
