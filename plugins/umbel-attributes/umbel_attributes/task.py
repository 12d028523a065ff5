"""Several attributes of one image, categories and numbers, from a CSV table with gaps.

A target is {attribute: class id or number, or None where the table has a gap}; a prediction is {attribute: (K,)
probabilities, or (1,) number}. Legend: B images, K classes of one attribute, A attributes.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset
from torchmetrics import Metric

import umbel
from umbel import ConfigError, DataError, FeatureSpec, Geometry, Losses, Sample, Size, Source, Task, View, option

GAP = -1  # of a class id in a batch; a missing number is NaN


@dataclass
class AttributesOptions:
    root: str = option(doc="folder with the tables and images")
    images: str = option("images", "folder of images, under root; {split} stands for train or val")
    table: str = option("{split}.csv", "table of a split, under root; its first row names the columns")
    file_column: str = option("file", "column of image file names")
    categorical: list[str] = option([], "columns that hold a category")
    numeric: list[str] = option([], "columns that hold a number")
    missing: list[str] = option(["", "nan", "NaN", "?"], "what a gap in the table looks like")
    classes: dict[str, list[str]] = option({}, "categories by column; {} takes those of the training table, sorted")
    scales: dict[str, list[float]] = option(
        {}, "median and mean distance from it by numeric column; {} takes the training table's"
    )
    dropout: float = option(0.1, "probability that a pooled feature is dropped")
    hflip: float = option(0.5, "training: probability of a left-right flip; 0 where an attribute knows left from right")
    jitter: float = option(0.2, "training: brightness factor in 1 +- this")

    def __post_init__(self) -> None:
        umbel.check_unique("categorical and numeric", [*self.categorical, *self.numeric])
        if not self.categorical and not self.numeric:
            raise ValueError("categorical and numeric are both empty; name at least one column")
        for name in ("dropout", "hflip", "jitter"):
            umbel.check_range(name, getattr(self, name), 0.0, 1.0)


def read_table(path: Path, needed: Sequence[str]) -> list[dict[str, str]]:
    """Rows of a CSV file by column; DataError if it lacks a needed one or has a row of another length."""
    reader = csv.DictReader(io.StringIO(umbel.read_text(path), newline=""))
    lacking = [name for name in needed if name not in (reader.fieldnames or ())]
    if lacking:
        listed = ", ".join(reader.fieldnames or ()) or "none"
        raise DataError(f"has no column {', '.join(map(repr, lacking))}", where=str(path), hint=f"columns: {listed}")
    rows = []
    for row in reader:
        if None in row or None in row.values():  # too many, too few
            raise DataError(f"line {reader.line_num} has another number of values than columns", where=str(path))
        rows.append({name: row[name].strip() for name in needed})
    return rows


class AttributeImages(Dataset[Sample]):
    """Images with their attributes; every row is checked before the first image is read."""

    def __init__(self, task: Attributes, split: str) -> None:
        self.folder = Path(task.options.root) / task.options.images.replace("{split}", split)
        self.table = task.table(split)
        rows = task.rows(split)
        self.files = [row[task.options.file_column] for row in rows]
        self.targets = [task.parse(row, f"{self.table}: row {number}") for number, row in enumerate(rows, 2)]

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Sample:
        image = umbel.read_image(umbel.resolve_under(self.folder, self.files[index], source=str(self.table)))
        return Sample(image, self.targets[index], self.files[index], (image.shape[0], image.shape[1]))


class AttributesHead(nn.Module):
    """Mean and maximum of the two coarsest levels, then one linear layer: {attribute: (B, K) logits or (B, 1)}."""

    def __init__(self, features: FeatureSpec, widths: dict[str, int], dropout: float) -> None:
        super().__init__()
        self.widths = widths
        pooled = 2 * sum(features.channels[-2:])
        self.layers = nn.Sequential(nn.LayerNorm(pooled), nn.Dropout(dropout), nn.Linear(pooled, sum(widths.values())))

    def forward(self, features: tuple[Tensor, ...]) -> dict[str, Tensor]:
        pooled = [pool for level in features[-2:] for pool in (level.mean((2, 3)), level.amax((2, 3)))]
        outputs = self.layers(torch.cat(pooled, 1)).split(list(self.widths.values()), 1)
        return dict(zip(self.widths, outputs, strict=True))


class AttributesMetric(Metric):
    """acc_NAME of a category, mae_NAME of a number, and "skill", their mean with a number's 1 - MAE / spread.

    The spread is the error of always saying the training median, so that skill 0 is knowing nothing and 1 is perfect.
    """

    values: list[Tensor]  # of an image: (1, A) hits or absolute errors, NaN where the table has a gap

    def __init__(self, categorical: Sequence[str], spreads: dict[str, float]) -> None:
        super().__init__()
        self.categorical, self.spreads = tuple(categorical), spreads
        self.names = [*categorical, *spreads]
        self.add_state("values", [], "cat")

    def update(self, predictions: Sequence[dict[str, Tensor]], targets: Sequence[dict[str, Any]]) -> None:
        for prediction, target in zip(predictions, targets, strict=True):
            values = torch.full((1, len(self.names)), torch.nan, dtype=torch.float64)
            for index, name in enumerate(self.names):
                if target[name] is None:
                    continue
                found = prediction[name]
                hit = float(int(found.argmax()) == target[name]) if name in self.categorical else 0.0
                values[0, index] = hit if name in self.categorical else abs(float(found) - target[name])
            self.values.append(values)

    def compute(self) -> dict[str, Tensor]:
        nothing = torch.zeros(0, len(self.names), dtype=torch.float64)
        of_all = torch.cat([nothing, *self.values]).nanmean(0)  # NaN where the table has gaps only
        means = dict(zip(self.names, of_all, strict=True))
        scores = {f"acc_{name}" if name in self.categorical else f"mae_{name}": mean for name, mean in means.items()}
        skills = [mean if name in self.categorical else 1 - mean / self.spreads[name] for name, mean in means.items()]
        return {"skill": torch.stack(skills).nanmean(), **scores}


class Attributes(Task[AttributesOptions]):
    Options = AttributesOptions
    main_metric = "skill"

    def table(self, split: str) -> Path:
        return Path(self.options.root) / self.options.table.replace("{split}", split)

    def rows(self, split: str) -> list[dict[str, str]]:
        options = self.options
        return read_table(self.table(split), [options.file_column, *options.categorical, *options.numeric])

    @cached_property
    def classes(self) -> dict[str, list[str]]:
        """Categories by attribute, in the order of the outputs."""
        if self.options.classes:
            lacking = [name for name in self.options.categorical if not self.options.classes.get(name)]
            if lacking:
                raise ConfigError(f"has no {lacking[0]!r}", where=f"tasks.{self.name}.options.classes")
            return {name: list(self.options.classes[name]) for name in self.options.categorical}
        rows, gaps = self.rows("train"), self.options.missing
        found = {name: sorted({row[name] for row in rows} - set(gaps)) for name in self.options.categorical}
        for name, values in found.items():
            if not values:
                raise DataError(f"column {name!r} holds gaps only", where=str(self.table("train")))
        return found

    @cached_property
    def scales(self) -> dict[str, list[float]]:
        """Median and mean distance from it by numeric attribute."""
        if self.options.scales:
            return {name: list(self.options.scales[name]) for name in self.options.numeric}
        parsed = [self.parse(row, f"{self.table('train')}: row {n}") for n, row in enumerate(self.rows("train"), 2)]
        scales = {}
        for name in self.options.numeric:
            values = np.array([target[name] for target in parsed if target[name] is not None])
            if not values.size:
                raise DataError(f"column {name!r} holds gaps only", where=str(self.table("train")))
            middle = float(np.median(values))
            scales[name] = [middle, float(np.abs(values - middle).mean()) or 1.0]
        return scales

    def inferred_options(self) -> dict[str, Any]:
        return {"classes": self.classes, "scales": self.scales}

    def parse(self, row: dict[str, str], where: str) -> dict[str, Any]:
        """The target of a table's row."""
        target: dict[str, Any] = {}
        for name in self.options.categorical:
            if row[name] in self.options.missing:
                target[name] = None
            elif row[name] in self.classes[name]:
                target[name] = self.classes[name].index(row[name])
            else:
                hint = f"known: {', '.join(self.classes[name])}"
                raise DataError(f"{name} is {row[name]!r}, which is no known category", where=where, hint=hint)
        for name in self.options.numeric:
            try:
                target[name] = None if row[name] in self.options.missing else float(row[name])
            except ValueError:
                raise DataError(f"{name} is {row[name]!r}, which is no number", where=where) from None
            if target[name] is not None and not math.isfinite(target[name]):
                raise DataError(f"{name} is {row[name]}", where=where, hint="leave a missing number empty")
        return target

    def dataset(self, split: str) -> AttributeImages:
        return AttributeImages(self, split)

    def sources(self, dataset: AttributeImages) -> Iterator[Source]:
        pairs = zip(dataset.files, dataset.targets, strict=True)
        return (Source(file, (dataset.folder / file,), target) for file, target in pairs)

    def head(self, features: FeatureSpec) -> AttributesHead:
        widths = {name: len(names) for name, names in self.classes.items()} | dict.fromkeys(self.scales, 1)
        return AttributesHead(features, widths, self.options.dropout)

    def augment(self, sample: Sample, rng: np.random.Generator) -> Sample:
        image = umbel.resize_image(sample.image, self.config.input_size)
        image = np.clip(image * rng.uniform(1 - self.options.jitter, 1 + self.options.jitter), 0, 255).astype(np.uint8)
        if rng.random() < self.options.hflip:
            image = np.ascontiguousarray(image[:, ::-1])
        return Sample(image, sample.target, sample.id, sample.size)

    def warp(self, target: dict[str, Any], geometry: Geometry) -> dict[str, Any]:
        return target  # of the image as a whole; give its source `hflip: 0` where an attribute knows left from right

    def collate_targets(self, targets: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        """{attribute: (B,) int64 class ids with GAP, or float32 numbers with NaN}."""
        batch = {
            name: torch.tensor([GAP if target[name] is None else target[name] for target in targets])
            for name in self.classes
        }
        for name in self.scales:
            numbers = [math.nan if target[name] is None else target[name] for target in targets]
            batch[name] = torch.tensor(numbers, dtype=torch.float32)
        return batch

    def loss(self, output: dict[str, Tensor], targets: dict[str, Tensor]) -> Losses:
        """Mean over attributes: cross-entropy, and smooth L1 of numbers in units of their spread."""
        parts = {}
        for name in self.classes:
            logits_BK, known = output[name].float(), targets[name] != GAP
            total = F.cross_entropy(logits_BK, targets[name], ignore_index=GAP, reduction="sum")
            parts[name] = total / known.sum().clamp(min=1)
        for name, (middle, spread) in self.scales.items():
            known = torch.isfinite(targets[name])
            wanted = (targets[name].nan_to_num() - middle) / spread
            error = F.smooth_l1_loss(output[name].float()[:, 0], wanted, reduction="none")
            parts[name] = torch.where(known, error, 0.0).sum() / known.sum().clamp(min=1)
        total = torch.stack(list(parts.values())).mean() + 0.0 * sum(o.float().sum() for o in output.values())
        return Losses(total, {name: part.detach() for name, part in parts.items()})

    def decode(self, output: dict[str, Tensor], view: View) -> list[dict[str, Tensor]]:
        decoded = {name: output[name].float().softmax(1).cpu() for name in self.classes}
        for name, (middle, spread) in self.scales.items():
            decoded[name] = output[name].float().cpu() * spread + middle
        count = len(next(iter(decoded.values())))
        return [{name: values[index] for name, values in decoded.items()} for index in range(count)]

    def views(self, size: Size) -> list[View]:
        flips = (False, True) if self.config.tta.hflip else (False,)
        return [View(self.config.input_size, flip) for flip in flips]

    def merge(self, predictions: Iterable[dict[str, Tensor]]) -> dict[str, Tensor]:
        views = list(predictions)
        return {name: torch.stack([view[name] for view in views]).mean(0) for name in views[0]}

    def metric(self) -> AttributesMetric:
        return AttributesMetric(list(self.classes), {name: spread for name, (_, spread) in self.scales.items()})

    def draw(self, image: np.ndarray, prediction: dict[str, Any]) -> np.ndarray:
        picture = image.copy()
        for line, (name, said) in enumerate(self.to_json(prediction).items()):
            text = said if isinstance(said, str) else "?" if said is None else f"{said:.1f}"
            umbel.put_label(picture, f"{name} {text}", (0, 16 * (line + 1)), (40, 40, 40))
        return picture

    def to_json(self, prediction: dict[str, Any]) -> dict[str, Any]:
        """The likeliest category or the number of every attribute; of a target, None for a gap."""
        said: dict[str, Any] = {}
        for name, value in prediction.items():
            if name in self.classes and value is not None:
                value = self.classes[name][int(value.argmax()) if isinstance(value, Tensor) else value]
            said[name] = float(value) if isinstance(value, (Tensor, float)) else value
        return said
