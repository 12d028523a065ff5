"""A tiny backbone and a task nobody would ship: count the bright pixels. No data needed, trained in milliseconds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset
from torchmetrics import Metric

from umbel import Backbone, FeatureSpec, Losses, Sample, Size, Task, View, hookimpl, keyed_generator, option


@dataclass
class TinyOptions:
    width: int = option(8, "channels")
    norm: bool = option(True, "BatchNorm after the convolution")
    dropout: float = option(0.1, "dropout, to have randomness inside the model")


class TinyBackbone(Backbone):
    Options = TinyOptions

    def __init__(self, options: TinyOptions) -> None:
        super().__init__()
        self.spec = FeatureSpec((options.width,), (8,))
        self.mean, self.std = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
        self.conv = nn.Conv2d(3, options.width, 8, 8)
        self.norm = nn.BatchNorm2d(options.width) if options.norm else nn.Identity()
        self.drop = nn.Dropout(options.dropout)

    def forward(self, images: Tensor, task: str) -> tuple[Tensor, ...]:
        return (self.drop(torch.relu(self.norm(self.conv(images)))),)


@dataclass
class BrightOptions:
    count: int = option(12, "images")
    threshold: int = option(128, "what is bright, 0..255")


class BrightDataset(Dataset[Sample]):
    def __init__(self, name: str, options: BrightOptions, size: Size) -> None:
        self.name, self.options, self.size = name, options, size

    def __len__(self) -> int:
        return self.options.count

    def __getitem__(self, index: int) -> Sample:
        if index >= len(self):
            raise IndexError(index)
        level = 40 + (index * 37) % 160
        image = keyed_generator(self.name, index).integers(0, level, (*self.size, 3)).astype(np.uint8)
        share = float((image > self.options.threshold).mean())
        return Sample(image, share, f"bright-{index}", self.size)


class ShareError(Metric):
    """1 - mean absolute error, so that more is better."""

    total: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros((), dtype=torch.float64), "sum")
        self.add_state("count", torch.zeros((), dtype=torch.int64), "sum")

    def update(self, predictions: Sequence[float], targets: Sequence[float]) -> None:
        self.total += sum(abs(p - t) for p, t in zip(predictions, targets, strict=True))
        self.count += len(predictions)

    def compute(self) -> dict[str, Tensor]:
        return {"closeness": 1 - self.total / self.count}


class BrightHead(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, 1)

    def forward(self, features: tuple[Tensor, ...]) -> Tensor:
        out: Tensor = self.linear(features[-1].mean((2, 3)))
        return out[:, 0]


class BrightTask(Task[BrightOptions]):
    Options = BrightOptions
    main_metric = "closeness"

    def dataset(self, split: str) -> Dataset[Sample]:
        return BrightDataset(f"{self.name}-{split}", self.options, self.config.input_size)

    def head(self, features: FeatureSpec) -> nn.Module:
        return BrightHead(features.channels[-1])

    def augment(self, sample: Sample, rng: np.random.Generator) -> Sample:
        noisy = np.clip(sample.image + rng.integers(-5, 6, sample.image.shape), 0, 255).astype(np.uint8)
        return Sample(noisy, sample.target, sample.id, sample.size)

    def loss(self, output: Tensor, targets: Tensor) -> Losses:
        error = (output.float() - targets).square().mean()
        return Losses(error, {"square": error.detach()})

    def decode(self, output: Tensor, view: View) -> list[float]:
        return [float(value) for value in output]

    def merge(self, predictions: Iterable[float]) -> float:
        return float(np.mean(list(predictions)))

    def metric(self) -> Metric:
        return ShareError()

    def to_json(self, prediction: Any) -> float:
        return float(prediction)


class ToyPlugin:
    """What a plugin module looks like to the loader."""

    @hookimpl
    def umbel_tasks(self) -> dict[str, type[Task[Any]]]:
        return {"bright": BrightTask}

    @hookimpl
    def umbel_backbones(self) -> dict[str, type[Backbone]]:
        return {"tiny": TinyBackbone}


TOY_RECIPE = """
backbone: {name: tiny}
tasks:
  first: {kind: bright, batch_size: 4, input_size: [32, 48], options: {count: 12}}
  second: {kind: bright, batch_size: 3, input_size: [16, 16], options: {count: 7, threshold: 60}}
optim: {lr: 0.01, warmup_steps: 4}
train: {steps: 12, precision: fp32, log_every: 1}
"""

TOY_MODULE = """
from umbel import hookimpl

@hookimpl
def umbel_tasks():
    return {"bright": "toys:BrightTask"}

@hookimpl
def umbel_backbones():
    return {"tiny": "toys:TinyBackbone"}
"""  # the same plugin as the source of a module
