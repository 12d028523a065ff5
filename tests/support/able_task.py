"""A task with every capability; what each method gives is told apart from every default."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from good_task import Shade, ShadeOptions
from torch import nn

from umbel import (
    DetectedDataset,
    Geometry,
    Reporter,
    SampleReport,
    Source,
    Statistic,
    Task,
    TaskConfig,
    TtaVariant,
    hookimpl,
)

__all__ = ["Able", "AblePlugin", "Shade", "new"]


class Able(Shade):
    """Shades of two classes, "dark" and "light"."""

    @classmethod
    def detect(cls, folder: Path) -> DetectedDataset:
        return DetectedDataset(folder.name, 64, 2, 1.0, {})

    def inspect(self, dataset: Any, index: int) -> SampleReport:
        return SampleReport(f"looked at {index}")

    def sources(self, dataset: Any) -> list[Source]:
        return [Source(str(index)) for index in range(len(dataset))]

    def prediction_classes(self) -> Sequence[str]:
        return ["dark", "light"]

    def classes_shown(self, dataset: Any, index: int) -> list[str]:
        return [self.prediction_classes()[index % 2]]

    def strata(self, dataset: Any) -> Sequence[str]:
        return [self.prediction_classes()[index % 2] for index in range(len(dataset))]

    def describe_data(self, split: str) -> list[Statistic]:
        return [Statistic(f"about {split}", ("what",), (("much",),))]

    def inferred_options(self) -> dict[str, Any]:
        return {"noise": 7}

    def tta_variants(self) -> list[TtaVariant]:
        return [TtaVariant("only")]

    def draw(self, image: np.ndarray, prediction: Any) -> np.ndarray:
        return np.full_like(image, 200)

    def filter(self, prediction: Any, confidence: float | None, classes: frozenset[str]) -> Any:
        return ("filtered", prediction, confidence, classes)

    def to_mask(self, prediction: Any) -> np.ndarray:
        return np.ones((2, 3), np.uint8)

    def to_coco(self, prediction: Any) -> list[dict[str, Any]]:
        return [{"category_id": 1}]

    def coco_categories(self) -> list[dict[str, Any]]:
        return [{"id": 1, "name": "dark"}]

    def to_json(self, prediction: Any) -> Any:
        return "in words"

    def reporter(self) -> Reporter:
        return Reporter()

    def export(self, head: nn.Module) -> nn.Module:
        return nn.Sequential(head)

    def export_spec(self) -> dict[str, Any]:
        return {"decoding": "none"}

    def warp(self, target: Any, geometry: Geometry) -> Any:
        return geometry.warp_map(target, 0)

    def predictions_close(self, one: Any, other: Any, tolerance: float) -> bool:
        return abs(one - other) <= 10


class AblePlugin:
    """Offers both kinds."""

    @hookimpl
    def umbel_tasks(self) -> dict[str, type[Task[Any]]]:
        return {"able": Able, "shade": Shade}


def new(kind: Callable[..., Task[Any]], root: str = "absent") -> Task[Any]:
    """A task that no plugin made, so that nothing guards it."""
    return kind("it", TaskConfig(kind="it", input_size=(32, 32)), ShadeOptions(root=root))
