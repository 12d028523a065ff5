"""A small task that keeps the contract: how bright is every pixel. The broken ones are made from it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad
from torch.utils.data import Dataset
from torchmetrics import Metric

from umbel import (
    FeatureSpec,
    Losses,
    Sample,
    Size,
    Task,
    View,
    keyed_generator,
    list_images,
    option,
    read_image,
    resize_image,
    round_up,
    write_image,
)
from umbel.testing import TaskContract


@dataclass
class ShadeOptions:
    root: str = option(doc="folder with train/ and val/ images")
    noise: int = option(4, "training: largest change of a pixel")


class Shades(Dataset[Sample]):
    def __init__(self, folder: Path) -> None:
        self.files = list_images(folder)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Sample:
        image = read_image(self.files[index])
        shade = image.mean(axis=2).astype(np.float32) / 255
        return Sample(image, shade, self.files[index].name, (image.shape[0], image.shape[1]))


class ShadeHead(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 1, 1)

    def forward(self, features: tuple[Tensor, ...]) -> Tensor:
        out: Tensor = self.conv(features[0])
        return out


class Closeness(Metric):
    error: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("error", torch.zeros((), dtype=torch.float64), "sum")
        self.add_state("count", torch.zeros((), dtype=torch.int64), "sum")

    def update(self, predictions: Sequence[Tensor], targets: Sequence[np.ndarray]) -> None:
        for prediction, target in zip(predictions, targets, strict=True):
            self.error += (prediction - torch.from_numpy(target)).abs().mean().double()
            self.count += 1

    def compute(self) -> dict[str, Tensor]:
        return {"closeness": 1 - self.error / self.count}


class Shade(Task[ShadeOptions]):
    Options = ShadeOptions
    main_metric = "closeness"

    def dataset(self, split: str) -> Dataset[Sample]:
        return Shades(Path(self.options.root) / split)

    def head(self, features: FeatureSpec) -> nn.Module:
        return ShadeHead(features.channels[0])

    def augment(self, sample: Sample, rng: np.random.Generator) -> Sample:
        image = resize_image(sample.image, self.config.input_size)
        noise = rng.integers(-self.options.noise, self.options.noise + 1, image.shape)
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
        return Sample(
            image, resize(torch.from_numpy(sample.target), self.config.input_size).numpy(), sample.id, sample.size
        )

    def collate_targets(self, targets: Sequence[np.ndarray]) -> Any:
        return torch.from_numpy(np.stack(targets))

    def loss(self, output: Tensor, targets: Tensor) -> Losses:
        shades = interpolate(output.float(), size=targets.shape[-2:], mode="bilinear")[:, 0]
        valid = torch.isfinite(targets)
        error = ((shades - targets.nan_to_num()) * valid).square().sum() / valid.sum().clamp(min=1)
        return Losses(error, {"square": error.detach()})

    def decode(self, output: Tensor, view: View) -> list[Tensor]:
        full = interpolate(output.float(), size=view.canvas or view.size, mode="bilinear").cpu()
        return [shade[0, : view.size[0], : view.size[1]] for shade in full]

    def restore(self, prediction: Tensor, view: View, size: Size) -> Tensor:
        return resize(prediction.flip(-1) if view.hflip else prediction, size)

    def views(self, size: Size) -> list[View]:
        flips = (False, True) if self.config.tta.hflip else (False,)
        return [View(size, flip, round_up(size, 32)) for flip in flips]

    def merge(self, predictions: Iterable[Tensor]) -> Tensor:
        return torch.stack(list(predictions)).mean(0)

    def metric(self) -> Metric:
        return Closeness()


def resize(shade_HW: Tensor, size: Size) -> Tensor:
    return interpolate(shade_HW[None, None], size=size, mode="bilinear")[0, 0]


class ShadeContract(TaskContract):
    """Not named Test...: a subclass is what pytest collects."""

    task = Shade
    ideal_score = 0.95

    def write_data(self, folder: Path) -> dict[str, Any]:
        for split in ("train", "val"):
            for index in range(3):
                ramp = np.linspace(0, 220, 96)[None, :, None] * np.ones((64, 1, 3))
                noise = keyed_generator(split, index).integers(0, 30, ramp.shape)
                write_image(folder / split / f"{index}.png", (ramp + noise).astype(np.uint8))
        return {"root": str(folder)}

    def ideal(self, task: Task[Any], sample: Sample, view: View) -> Any:
        shade = resize(torch.from_numpy(sample.target), view.size)
        shade = shade.flip(-1) if view.hflip else shade
        height, width = view.canvas or view.size
        padded = pad(shade, (0, width - view.size[1], 0, height - view.size[0]))
        return task.decode(padded[None, None], view)[0]

    def empty(self, task: Task[Any], sample: Sample) -> Sample:
        return replace(sample, target=np.full_like(sample.target, np.nan))

    def oracle(self, task: Task[Any], predictions: list[Any], targets: list[Any]) -> dict[str, float]:
        errors = [float(np.abs(p.numpy() - t).mean()) for p, t in zip(predictions, targets, strict=True)]
        return {"closeness": 1 - sum(errors) / len(errors)}
