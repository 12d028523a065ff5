"""The segmentation task."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
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
    DeviceConstant,
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
from umbel.tasks.segmentation.dataset import SegmentationDataset
from umbel.tasks.segmentation.draw import draw_labels
from umbel.tasks.segmentation.formats.label_table import LabelTable
from umbel.tasks.segmentation.formats.registry import FORMATS, find_format
from umbel.tasks.segmentation.formats.unsplit import unsplit
from umbel.tasks.segmentation.inspect import inspect_record
from umbel.tasks.segmentation.metric import MeanIoU
from umbel.tasks.segmentation.model.head import SegmentationHead
from umbel.tasks.segmentation.model.loss import segmentation_loss
from umbel.tasks.segmentation.options import SegmentationOptions
from umbel.tasks.segmentation.postprocess.large import StripLogits
from umbel.tasks.segmentation.postprocess.merge import content_logits, merge_views, original_logits
from umbel.tasks.segmentation.prediction import LabelMap
from umbel.tasks.segmentation.report import SegmentationReporter
from umbel.tasks.segmentation.results import narrow, summary
from umbel.tasks.segmentation.statistics import describe
from umbel.tasks.segmentation.views import make_views

if TYPE_CHECKING:
    from umbel.tasks.segmentation.augment import Augmenter


log = logging.getLogger(__name__)


class Segmentation(Task[SegmentationOptions]):
    """A class for every pixel. Targets are (H, W) uint8 label maps, predictions `LabelMap`s."""

    Options = SegmentationOptions
    main_metric = "miou"
    hub_tag = "image-segmentation"
    _recognised: dict[int, str | None] | None = None  # label values that were detected in the masks

    @property
    def _where(self) -> str:
        return f"tasks.{self.name}.options"

    @cached_property
    def class_names(self) -> list[str]:
        """Names by class id; the data is read only when the recipe does not list them."""
        options = self.options
        names = list(options.class_names)
        if not names:
            stored = find_format(options).class_names(options)
            names = list(map_classes(stored, options.class_map, where=self._where).names)
        if options.ignore_index < len(names):
            raise ConfigError(
                f"is {options.ignore_index}, the id of the class {names[options.ignore_index]!r}",
                where=f"{self._where}.ignore_index",
                hint=f"set it to a value of {len(names)}..255; class_map leaves classes out"
                if len(names) < 256
                else "255 classes at most; class_map leaves some out",
            )
        return names

    @cached_property
    def class_weights(self) -> DeviceConstant | None:
        """(K,) float32, or None when all classes count alike."""
        weights = self.options.class_weights
        if not weights:
            return None
        if len(weights) != len(self.class_names):
            raise ConfigError(
                f"has {len(weights)} values for {len(self.class_names)} classes",
                where=f"tasks.{self.name}.options.class_weights",
                hint=f"the classes are {', '.join(self.class_names)}",
            )
        return DeviceConstant(torch.tensor(weights, dtype=torch.float32, device="cpu"))

    @cached_property
    def augmenter(self) -> Augmenter:
        from umbel.tasks.segmentation.augment import Augmenter  # albumentations takes seconds to import

        return Augmenter(self.options, self.config.input_size)

    @classmethod
    def detect(cls, folder: Path) -> DetectedDataset | None:
        name = detect_format(FORMATS, SegmentationOptions(root=str(folder)))
        if name is None:
            return None
        whole = unsplit(folder, name)
        data = {"root": str(folder), "format": name, **(whole or {})}
        light = {"width": 64, "aux_weight": 0.0, "scale": [0.75, 1.75], "rotation": 5.0, "blur_prob": 0.0}
        return DetectedDataset(
            name, 320, 8, weight=6.0, options={**data, **light}, holdout=0.0 if whole is None else HOLDOUT
        )

    def dataset(self, split: str) -> SegmentationDataset:
        found = find_format(self.options).read(self.options, split)
        stored = [name for name in found.values.values() if name is not None]
        class_map = map_classes(stored, self.options.class_map, self.class_names, where=self._where)
        if found.recognised and self._recognised is None:
            self._recognised = found.values
            log.info(
                "%s: masks hold 0 and 255 only, read as %s; label_values says otherwise",
                self.name,
                " and ".join(stored),
            )
        table = LabelTable(found.values, class_map, self.options.ignore_index, found.hint)
        return SegmentationDataset(found.records, table)

    def classes_shown(self, dataset: SegmentationDataset, index: int) -> list[str]:
        """The mask is read; of outlines it is enough to know which there are."""
        labels = dataset.records[index].labels
        ids = dataset.table(labels.values(), labels.where).tolist()
        return [self.class_names[k] for k in ids if k < len(self.class_names)]

    def sources(self, dataset: SegmentationDataset) -> Iterator[Source]:
        """Masks by their files, drawn labels by what is drawn; both with what their values mean."""
        meaning = dataset.table.meaning
        for record in dataset.records:
            labels = record.labels
            yield Source(record.id, (record.image, *labels.files()), (meaning, labels.content()))

    def inspect(self, dataset: SegmentationDataset, index: int) -> SampleReport:
        return inspect_record(dataset.records[index], dataset.table, self.class_names)

    def augment(self, sample: Sample, rng: np.random.Generator) -> Sample:
        image, labels = self.augmenter(sample.image, sample.target, rng)
        return Sample(image, labels, sample.id, sample.size)

    def warp(self, target: np.ndarray, geometry: Geometry) -> np.ndarray:
        return geometry.warp_map(target, self.options.ignore_index)

    def collate_targets(self, targets: Sequence[np.ndarray]) -> Tensor:
        """(B, H, W) uint8."""
        return torch.from_numpy(np.stack(targets))

    def head(self, features: FeatureSpec) -> SegmentationHead:
        self.class_weights  # noqa: B018  a wrong number of them is best said before training
        return SegmentationHead(features, len(self.class_names), self.options)

    def loss(self, output: Tensor | tuple[Tensor, Tensor], targets: Tensor) -> Losses:
        weights = None if self.class_weights is None else self.class_weights.on(targets.device)
        return segmentation_loss(output, targets, self.options.ignore_index, self.options.aux_weight, weights)

    def views(self, size: Size) -> list[View]:
        test_size = self.options.test_size
        base = size if test_size is None else (test_size[0], test_size[1])
        return make_views(base, self.config.tta, self.options.pad_multiple)

    def decode(self, output: Tensor, view: View) -> list[Tensor | StripLogits]:
        """Logits (K, *view.size) of each image; of a large view they are resized later."""
        return [content_logits(logits, view) for logits in output]

    def restore(self, prediction: Tensor | StripLogits, view: View, size: Size) -> Tensor | StripLogits:
        """Logits (K, *size)."""
        return original_logits(prediction, view, size)

    def merge(self, predictions: Iterable[Tensor | StripLogits]) -> LabelMap:
        return merge_views(predictions)

    def inferred_options(self) -> dict[str, Any]:
        values = {} if self._recognised is None else {"label_values": self._recognised}
        return {"class_names": self.class_names, **values}

    def export_spec(self) -> dict[str, Any]:
        return {
            "classes": self.class_names,
            "preprocess": {
                "resize": "none" if self.options.test_size is None else list(self.options.test_size),
                "interpolation": "bilinear, half-pixel centres, no antialiasing",
                "pad": f"bottom and right with the padding colour to a multiple of {self.options.pad_multiple}",
            },
            "outputs_mean": "(B, K, H/s, W/s) class logits at the finest stride s of the backbone",
            "decode": [
                "resize the logits to H x W: bilinear, half-pixel centres",
                "crop the padding, resize to the original image: bilinear, half-pixel centres",
                "the class of a pixel is the argmax over K",
            ],
        }

    def metric(self) -> MeanIoU:
        return MeanIoU(self.class_names, self.options.ignore_index)

    def describe_data(self, split: str) -> list[Statistic]:
        return describe(self.dataset(split), self.class_names, self.config.input_size)

    def reporter(self) -> SegmentationReporter:
        return SegmentationReporter(self, self.class_names, self.options.ignore_index)

    def draw(self, image: np.ndarray, prediction: LabelMap | np.ndarray) -> np.ndarray:
        labels = prediction.labels.numpy() if isinstance(prediction, LabelMap) else np.asarray(prediction)
        return draw_labels(image, labels, self.class_names)

    def prediction_classes(self) -> Sequence[str]:
        return self.class_names

    def filter(self, prediction: LabelMap, confidence: float | None, classes: frozenset[str]) -> LabelMap:
        """Pixels of other classes become `ignore_index`; a label map has no scores for `confidence` to act on."""
        return narrow(prediction, self.class_names, classes, self.options.ignore_index)

    def to_mask(self, prediction: LabelMap) -> np.ndarray:
        labels: np.ndarray = prediction.labels.numpy()
        return labels

    def to_json(self, prediction: LabelMap) -> dict[str, Any]:
        return summary(prediction, self.class_names)
