"""The classification task."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from umbel import (
    HOLDOUT,
    ConfigError,
    DetectedDataset,
    FeatureSpec,
    Geometry,
    Losses,
    Sample,
    SampleReport,
    Size,
    Source,
    Statistic,
    Task,
    View,
    detect_format,
    map_classes,
)
from umbel.tasks.classification.dataset import ClassificationDataset
from umbel.tasks.classification.draw import draw_class
from umbel.tasks.classification.formats.registry import FORMATS, find_format
from umbel.tasks.classification.formats.unsplit import unsplit
from umbel.tasks.classification.inspect import inspect_record
from umbel.tasks.classification.metric import TopKAccuracy
from umbel.tasks.classification.model.head import ClassificationHead
from umbel.tasks.classification.model.loss import smoothed_cross_entropy
from umbel.tasks.classification.options import ClassificationOptions
from umbel.tasks.classification.prediction import ClassScores
from umbel.tasks.classification.report import ClassificationReporter
from umbel.tasks.classification.results import likeliest, narrow
from umbel.tasks.classification.statistics import describe
from umbel.tasks.classification.views import make_views

if TYPE_CHECKING:
    from umbel.tasks.classification.augment import Augmenter


class Classification(Task[ClassificationOptions]):
    """One class an image. Targets are class ids, predictions `ClassScores`."""

    Options = ClassificationOptions
    main_metric = "top1"
    hub_tag = "image-classification"
    merge_options = frozenset({"tta_average"})

    @property
    def _where(self) -> str:
        return f"tasks.{self.name}.options"

    @cached_property
    def class_names(self) -> list[str]:
        """Names by class id; the data is read only when the recipe does not list them."""
        options = self.options
        if options.class_names:
            return list(options.class_names)
        return list(map_classes(find_format(options).class_names(options), options.class_map, where=self._where).names)

    @cached_property
    def augmenter(self) -> Augmenter:
        from umbel.tasks.classification.augment import Augmenter  # albumentations takes seconds to import

        return Augmenter(self.options, self.config.input_size)

    @classmethod
    def detect(cls, folder: Path) -> DetectedDataset | None:
        name = detect_format(FORMATS, ClassificationOptions(root=str(folder)))
        whole = unsplit(folder, name)
        if name is None and whole is None:
            return None
        options = {"root": str(folder), "format": name, **(whole or {}), "mid_channels": 128, "erase_prob": 0.25}
        holdout = 0.0 if whole is None else HOLDOUT
        return DetectedDataset(
            options["format"], 224, 16, weight=0.5, options={**options, "crop_scale": [0.7, 1.0]}, holdout=holdout
        )

    def dataset(self, split: str) -> ClassificationDataset:
        options = self.options
        found = find_format(options)
        class_map = map_classes(found.class_names(options), options.class_map, self.class_names, where=self._where)
        records = [(record, class_map.targets[record.label]) for record in found.read(options, split)]
        return ClassificationDataset([replace(record, label=id) for record, id in records if id is not None])

    def strata(self, dataset: ClassificationDataset) -> Sequence[str]:
        return [self.class_names[record.label] for record in dataset.records]

    def classes_shown(self, dataset: ClassificationDataset, index: int) -> list[str]:
        return [self.class_names[dataset.records[index].label]]

    def sources(self, dataset: ClassificationDataset) -> Iterator[Source]:
        return (Source(record.id, (record.image,), record.label) for record in dataset.records)

    def inspect(self, dataset: ClassificationDataset, index: int) -> SampleReport:
        return inspect_record(dataset.records[index], self.class_names)

    def augment(self, sample: Sample, rng: np.random.Generator) -> Sample:
        return Sample(self.augmenter(sample.image, rng), sample.target, sample.id, sample.size)

    def warp(self, target: int, geometry: Geometry) -> int:
        return target  # of the image as a whole

    def collate_targets(self, targets: Sequence[int]) -> Tensor:
        """(B,) int64."""
        return torch.tensor(list(targets), dtype=torch.int64)

    def head(self, features: FeatureSpec) -> ClassificationHead:
        height, width = self.config.input_size
        if self.config.batch_size == 1 and max(height, width) <= features.strides[-1]:
            raise ConfigError(
                f"batch_size 1 with input_size {height} x {width} leaves batch normalisation a single value",
                where=f"tasks.{self.name}",
                hint=f"use a larger batch or an input above {features.strides[-1]} pixels",
            )
        return ClassificationHead(features, len(self.class_names), self.options)

    def loss(self, output: Tensor, targets: Tensor) -> Losses:
        total = smoothed_cross_entropy(output, targets, self.options.label_smoothing, self.options.smoothing_rule)
        return Losses(total, {"ce": total.detach()})

    def views(self, size: Size) -> list[View]:
        test_size = self.options.test_size
        base = self.config.input_size if test_size is None else (test_size[0], test_size[1])
        return make_views(base, self.config.tta, self.options.pad_multiple)

    def decode(self, output: Tensor, view: View) -> list[ClassScores]:
        return [ClassScores(probabilities) for probabilities in output.detach().float().softmax(dim=1).cpu()]

    def merge(self, predictions: Iterable[ClassScores]) -> ClassScores:
        """Mean of the probabilities of all views, or the softmax of the mean of their logits."""
        views = list(predictions)
        if len(views) == 1:
            return views[0]
        views_VK = torch.stack([view.probabilities for view in views])
        if self.options.tta_average == "probabilities":
            return ClassScores(views_VK.mean(dim=0))
        tiny = torch.finfo(torch.float32).tiny  # log p is a logit up to a constant, which softmax removes again
        return ClassScores(views_VK.clamp_min(tiny).log().mean(dim=0).softmax(dim=0))

    def inferred_options(self) -> dict[str, Any]:
        return {"class_names": self.class_names}

    def export_spec(self) -> dict[str, Any]:
        (height, width) = self.views(self.config.input_size)[0].size
        return {
            "classes": self.class_names,
            "preprocess": {
                "resize": [height, width],
                "interpolation": "bicubic, half-pixel centres, no antialiasing, clipped to 0..255; aspect not kept",
                "pad": "none",
            },
            "outputs_mean": "(B, K) class logits",
            "decode": ["softmax over K gives probabilities; the class is the argmax"],
        }

    def metric(self) -> TopKAccuracy:
        return TopKAccuracy(len(self.class_names))

    def describe_data(self, split: str) -> list[Statistic]:
        return describe(self.dataset(split), self.class_names, self.config.input_size)

    def reporter(self) -> ClassificationReporter:
        return ClassificationReporter(self, self.class_names)

    def draw(self, image: np.ndarray, prediction: ClassScores | int) -> np.ndarray:
        if isinstance(prediction, ClassScores):
            if prediction.undecided:
                return image.copy()
            probability = float(prediction.probabilities[prediction.label])
            return draw_class(image, prediction.label, self.class_names, probability)
        return draw_class(image, int(prediction), self.class_names, None)

    def prediction_classes(self) -> Sequence[str]:
        return self.class_names

    def filter(self, prediction: ClassScores, confidence: float | None, classes: frozenset[str]) -> ClassScores:
        return narrow(prediction, self.class_names, confidence, classes)

    def to_json(self, prediction: ClassScores) -> dict[str, Any]:
        return likeliest(prediction, self.class_names)
