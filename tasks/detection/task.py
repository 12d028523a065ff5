"""The detection task: where data, head, loss, decoding, merging and metric meet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from umbel import (
    HOLDOUT,
    ConfigError,
    DataError,
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
    TaskConfig,
    TtaVariant,
    View,
    default_tta_variants,
    detect_format,
    round_up,
)
from umbel.tasks.detection.augment import DetectionAugment, warp_boxes
from umbel.tasks.detection.dataset import DetectionDataset
from umbel.tasks.detection.draw import draw_boxes
from umbel.tasks.detection.formats.categories import Categories, with_class_order
from umbel.tasks.detection.formats.class_changes import change_classes, changes_of
from umbel.tasks.detection.formats.records import Annotations
from umbel.tasks.detection.formats.registry import FORMATS, Format, find_format
from umbel.tasks.detection.formats.unsplit import unsplit
from umbel.tasks.detection.inspect import inspect_record
from umbel.tasks.detection.metric.map_backends import check_backend
from umbel.tasks.detection.metric.metric import DetectionMetric
from umbel.tasks.detection.model.anchors import COCO_ANCHORS
from umbel.tasks.detection.model.decode import decode_maps
from umbel.tasks.detection.model.export import DecodedHead, same_boxes
from umbel.tasks.detection.model.export import describe as describe_export
from umbel.tasks.detection.model.head import ANCHORS_PER_LEVEL, STRIDES, YOLOHead
from umbel.tasks.detection.model.loss import Gains, detection_loss
from umbel.tasks.detection.model.training_rows import training_rows
from umbel.tasks.detection.options import DetectionOptions
from umbel.tasks.detection.postprocess.merge import keep_best, merge_views
from umbel.tasks.detection.postprocess.nms import select_detections
from umbel.tasks.detection.postprocess.restore import restore_detections
from umbel.tasks.detection.prediction import ANY_CLASS, BoxTarget, Detections
from umbel.tasks.detection.report import DetectionReporter
from umbel.tasks.detection.results import coco_annotations, coco_results, filter_detections
from umbel.tasks.detection.statistics import describe
from umbel.tasks.detection.views import make_views

MERGES = ("nms", "wbf")

SMALL_DATA: dict[str, Any] = {  # a light head; with few classes the class loss meant for 80 drowns the boxes
    "depth_mult": 0.33, "neck_channels": [64, 96, 128], "crop_scale": [0.6, 1.0], "crop_aspect": [0.8, 1.25],
    "no_crop_prob": 0.3, "det_loss_factor": 1.0, "box_gain": 0.1, "cls_gain": 0.15, "bn_momentum": 0.1,
    "brightness": 0.3, "saturation": 0.3,
}  # fmt: skip


class Detection(Task[DetectionOptions]):
    """Boxes with classes: CSP-PAN neck, YOLOv5 head and loss, weighted boxes fusion of test views."""

    Options = DetectionOptions
    main_metric = "map50"
    hub_tag = "object-detection"
    merge_options = frozenset({"merge", "wbf_iou", "wbf_skip", "wbf_conf_type", "wbf_weights", "wbf_backend", "keep"})

    def __init__(self, name: str, config: TaskConfig, options: DetectionOptions) -> None:
        super().__init__(name, config, options)
        self._splits: dict[str, Annotations] = {}
        if round_up(config.input_size, STRIDES[-1]) != config.input_size:
            raise ConfigError(
                f"input_size is {list(config.input_size)}; both sides must be divisible by {STRIDES[-1]}",
                where=f"tasks.{name}.input_size",
                hint=f"use {list(round_up(config.input_size, STRIDES[-1]))}",
            )

    @classmethod
    def detect(cls, folder: Path) -> DetectedDataset | None:
        name = detect_format(FORMATS, DetectionOptions(root=str(folder)))
        whole = unsplit(folder, name)
        if name is None and whole is None:
            return None
        options = {"root": str(folder), "format": name, **(whole or {})}
        return DetectedDataset(
            options["format"],
            320,
            8,
            weight=1.0,
            options={**options, **SMALL_DATA},
            holdout=0.0 if whole is None else HOLDOUT,
        )

    def dataset(self, split: str) -> DetectionDataset:
        """Images and boxes of "train" or "val"; in the challenge's format also "test", without boxes."""
        annotations = self._annotations(split)
        if split != "test":  # a list of images knows no classes
            annotations = with_class_order(annotations, self.categories)
        return DetectionDataset(annotations, self.options.bad_boxes)

    def classes_shown(self, dataset: DetectionDataset, index: int) -> list[str]:
        """Of the boxes that are trained on; crowds are not."""
        record = dataset.records[index]
        return [self.categories.names[k] for k in record.classes_N[~record.crowd_N].tolist() if k != ANY_CLASS]

    def sources(self, dataset: DetectionDataset) -> Iterator[Source]:
        for record in dataset.records:
            boxes = (record.boxes_N4, record.classes_N, record.crowd_N, record.relative, record.size)
            yield Source(record.id, (record.path,), boxes)

    def inspect(self, dataset: DetectionDataset, index: int) -> SampleReport:
        return inspect_record(dataset.records[index], self.categories.names, self.options.bad_boxes)

    @cached_property
    def categories(self) -> Categories:
        """Classes of the head: the recipe's, else those of the training data, else those of the validation data."""
        options = self.options
        names = tuple(options.class_names)
        if options.category_ids:
            return Categories(names, tuple(options.category_ids))
        if names and not Path(options.root).is_dir():
            return Categories((), ()).reordered(names)
        splits = [split for split in self._format.splits(options) if split != "test"]
        if names and not splits:
            return Categories((), ()).reordered(names)
        annotations = self._annotations(splits[0] if splits else "train")
        found = Categories.of(annotations)
        if not found.names and not names:
            raise DataError("has no categories", where=annotations.source, hint="name them: class_names: [...]")
        return found.reordered(names) if names else found

    def inferred_options(self) -> dict[str, Any]:
        return {"class_names": list(self.categories.names), "category_ids": list(self.categories.ids)}

    def head(self, features: FeatureSpec) -> nn.Module:
        options = self.options
        try:
            return YOLOHead(
                features,
                len(self.categories.names),
                depth_mult=options.depth_mult,
                neck_channels=options.neck_channels,
                sppf=options.sppf,
                bn_eps=options.bn_eps,
                bn_momentum=options.bn_momentum,
            )
        except ValueError as error:
            raise ConfigError(
                str(error), where=f"tasks.{self.name}", hint="detection needs strides 8, 16, 32"
            ) from None

    def loss(self, output: Sequence[Tensor], targets: dict[str, Tensor]) -> Losses:
        """The YOLOv5 loss times the number of images and `det_loss_factor`, as in PaddleYOLO."""
        options = self.options
        gains = Gains(options.box_gain, options.obj_gain, options.cls_gain)
        if options.gain_scaling == "ultralytics":
            gains = gains.scaled(len(self.categories.names), self.config.input_size)
        losses = detection_loss(
            output,
            targets["rows"],
            self._anchors.on(output[0].device),
            gains,
            label_smoothing=options.label_smoothing,
            anchor_t=options.anchor_t,
            iou_kind=options.iou_kind,
        )
        return Losses(losses.total * options.det_loss_factor, losses.parts)

    def decode(self, output: Sequence[Tensor] | Tensor, view: View) -> list[Detections]:
        """Detections of each image after NMS, in pixels of the padded view; an exported head's output is decoded."""
        options = self.options
        if not isinstance(output, Tensor):
            output = decode_maps(output, self._anchors.on(output[0].device))
        return select_detections(
            output,
            view.canvas or view.size,
            conf=options.conf,
            iou=options.nms_iou,
            multi_label=options.multi_label,
            limit=options.max_detections,
        )

    def export(self, head: nn.Module) -> DecodedHead:
        return DecodedHead(head, self._anchors.on(torch.device("cpu")))

    def predictions_close(self, one: Detections, other: Detections, tolerance: float) -> bool:
        return same_boxes(one, other, tolerance)

    def export_spec(self) -> dict[str, Any]:
        size = self.options.test_size or self.config.input_size
        return describe_export(self.options, self.categories.names, self.categories.ids, size)

    def metric(self) -> DetectionMetric:
        check_backend(self.options.map_backend)
        return DetectionMetric(self.options.map_backend)

    def augment(self, sample: Sample, rng: np.random.Generator) -> Sample:
        return self._augment(sample, rng)

    def warp(self, target: BoxTarget, geometry: Geometry) -> BoxTarget:
        return warp_boxes(target, geometry, self.options.min_box_px)

    def collate_targets(self, targets: Sequence[BoxTarget]) -> dict[str, Tensor]:
        """{"rows": (T, 6)}: see `training_rows`."""
        return {"rows": training_rows(targets, self.config.input_size)}

    def views(self, size: Size) -> list[View]:
        """Test views: the test size, or `tta.sizes`, times `tta.scales`, with their mirror images if `tta.hflip`."""
        test_size = self.options.test_size
        base = self.config.input_size if test_size is None else (test_size[0], test_size[1])
        return make_views(base, self.config.tta, size, keep_ratio=self.options.keep_ratio)

    def restore(self, prediction: Detections, view: View, size: Size) -> Detections:
        """Boxes in the original image, clipped to it; those that lay in the padding are gone."""
        return restore_detections(prediction, view, size)

    def merge(self, predictions: Iterable[Detections]) -> Detections:
        """Weighted boxes fusion or NMS of all views, then the best `keep` of each class."""
        return keep_best(merge_views(list(predictions), self.options, f"tasks.{self.name}.options"), self.options.keep)

    def tta_variants(self) -> list[TtaVariant]:
        """Flipped views are merged both ways; scales alone by NMS (Table 6 of the paper)."""
        rows = []
        for row in default_tta_variants(self.config.tta):
            if row.tta.hflip:
                rows += [replace(row, name=f"{row.name}+{how.upper()}", options={"merge": how}) for how in MERGES]
            else:
                rows.append(replace(row, options={"merge": "nms"}))  # of a single view there is nothing to merge
        return rows

    def describe_data(self, split: str) -> list[Statistic]:
        return describe(self.dataset(split), self.categories.names, self.config.input_size, self.views)

    def reporter(self) -> DetectionReporter:
        return DetectionReporter(self, self.categories.names)

    def draw(self, image: np.ndarray, prediction: BoxTarget | Detections) -> np.ndarray:
        return draw_boxes(image, prediction, self.categories.names)

    def prediction_classes(self) -> Sequence[str]:
        return self.categories.names

    def filter(self, prediction: Detections, confidence: float | None, classes: frozenset[str]) -> Detections:
        return filter_detections(prediction, self.categories, confidence, classes)

    def to_coco(self, prediction: Detections) -> list[dict[str, Any]]:
        return coco_annotations(prediction, self.categories)

    def coco_categories(self) -> list[dict[str, Any]]:
        return [{"id": id, "name": name} for name, id in zip(self.categories.names, self.categories.ids, strict=True)]

    def to_json(self, prediction: Detections) -> list[dict[str, Any]]:
        """COCO results: category_id as in the annotations, category, bbox [x, y, width, height], score."""
        return coco_results(prediction, self.categories)

    @cached_property
    def _augment(self) -> DetectionAugment:
        return DetectionAugment(self.options, self.config.input_size)

    @cached_property
    def _anchors(self) -> DeviceConstant:
        """(L, A, 2) pixels."""
        anchors = torch.tensor(self.options.anchors or COCO_ANCHORS, dtype=torch.float32)
        return DeviceConstant(anchors.view(len(STRIDES), ANCHORS_PER_LEVEL, 2))

    @cached_property
    def _format(self) -> Format:
        return find_format(self.options)

    def _annotations(self, split: str) -> Annotations:
        """A split as stored, with the class changes of the recipe."""
        if split not in self._splits:
            if split not in ("train", "val") and split not in self._format.splits(self.options):
                raise DataError(f"there is no split {split!r}", where=f"tasks.{self.name}", hint="choose train or val")
            stored = self._format.read(self.options, split)
            others = [other for other in self._format.splits(self.options) if other not in (split, "test")]
            read = (self._format.read(self.options, other) for other in others)  # only where it is needed
            changes = {} if split == "test" else changes_of(stored, self.options.class_map, read)
            self._splits[split] = change_classes(stored, changes, f"tasks.{self.name}.options")
        return self._splits[split]
