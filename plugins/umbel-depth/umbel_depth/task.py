"""Monocular depth: targets are (H, W) metres, 0 where unknown; views predict log depth, merged they are metres."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torch.utils.data import Dataset
from torchmetrics import Metric

import umbel
from umbel import FeatureSpec, Geometry, Losses, Sample, Size, Source, Task, View, option


@dataclass
class DepthOptions:
    root: str = option(doc="folder with images/STEM.jpg, depth/STEM.png, train.txt and val.txt (stems, one a line)")
    metres_per_unit: float = option(0.01, "metres of one step of the 16-bit depth maps")
    min_depth: float = option(0.5, "metres; nearer pixels are not counted, nor is 0, which means unknown")
    max_depth: float = option(80.0, "metres; farther pixels, such as the sky, are not counted")
    balance: float = option(0.85, "share of the error of an image's overall scale that the loss forgives, 0..1")
    width: int = option(64, "channels of the decoder")
    hflip: float = option(0.5, "training: probability of a left-right flip")

    def __post_init__(self) -> None:
        umbel.check_range("metres_per_unit", self.metres_per_unit, 1e-9, 1e6)
        umbel.check_range("max_depth", self.max_depth, 1e-3, 1e9)
        umbel.check_range("min_depth", self.min_depth, 1e-3, self.max_depth)
        umbel.check_range("width", self.width, 1, 8192)
        umbel.check_range("hflip", self.hflip, 0.0, 1.0)
        umbel.check_range("balance", self.balance, 0.0, 1.0)


class DepthMaps(Dataset[Sample]):
    def __init__(self, options: DepthOptions, split: str) -> None:
        self.options, self.root = options, Path(options.root)
        self.list = self.root / f"{split}.txt"
        self.stems = umbel.read_lines(self.list)

    def __len__(self) -> int:
        return len(self.stems)

    def __getitem__(self, index: int) -> Sample:
        stem, options = self.stems[index], self.options
        image = umbel.read_image(umbel.resolve_under(self.root / "images", f"{stem}.jpg", source=str(self.list)))
        stored = umbel.read_label_map(umbel.resolve_under(self.root / "depth", f"{stem}.png", source=str(self.list)))
        metres = stored.astype(np.float32) * options.metres_per_unit
        metres[(metres < options.min_depth) | (metres > options.max_depth)] = 0
        return Sample(image, metres, stem, (image.shape[0], image.shape[1]))


def resized(maps_BHW: Tensor, size: Size) -> Tensor:
    return interpolate(maps_BHW[:, None].float(), size=size, mode="bilinear", align_corners=False)[:, 0]


class DepthHead(nn.Module):
    """Every level to one width, summed at the finest, then two convolutions: (B, h, w) log metres."""

    def __init__(self, features: FeatureSpec, width: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(channels, width, 1) for channels in features.channels)
        self.mix = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.GroupNorm(1, width), nn.SiLU())
        self.out = nn.Conv2d(width, 1, 3, padding=1)

    def forward(self, features: tuple[Tensor, ...]) -> Tensor:
        total = self.lateral[0](features[0])
        for lateral, level in zip(self.lateral[1:], features[1:]):  # noqa: B905  torch slices give no lengths
            total = total + interpolate(lateral(level), size=total.shape[-2:], mode="bilinear", align_corners=False)
        return torch.add(self.out(self.mix(total))[:, 0], 2.5)  # log of 12 m: where a street begins to be


class DepthMetric(Metric):
    """AbsRel, RMSE in metres, and delta1: the share of pixels within a factor of 1.25; means over images."""

    rows: list[Tensor]  # of an image with known depth: (1, 3)

    def __init__(self) -> None:
        super().__init__()
        self.add_state("rows", [], "cat")

    def update(self, predictions: Sequence[Tensor], targets: Sequence[np.ndarray]) -> None:
        for prediction, target in zip(predictions, targets, strict=True):
            if (known := target > 0).any():
                found, true = prediction.double().numpy()[known], target[known].astype(np.float64)
                relative, rmse = np.abs(found - true) / true, np.sqrt(np.mean((found - true) ** 2))
                close = np.mean(np.maximum(found / true, true / found) < 1.25)
                self.rows.append(torch.tensor([[relative.mean(), rmse, close]], dtype=torch.float64))

    def compute(self) -> dict[str, Tensor]:
        return dict(zip(("abs_rel", "rmse", "delta1"), torch.cat([torch.zeros(0, 3), *self.rows]).mean(0), strict=True))


class Depth(Task[DepthOptions]):
    Options = DepthOptions
    main_metric = "delta1"

    def dataset(self, split: str) -> DepthMaps:
        return DepthMaps(self.options, split)

    def sources(self, dataset: DepthMaps) -> Iterator[Source]:
        root = dataset.root
        return (Source(s, (root / "images" / f"{s}.jpg", root / "depth" / f"{s}.png")) for s in dataset.stems)

    def head(self, features: FeatureSpec) -> DepthHead:
        return DepthHead(features, self.options.width)

    def augment(self, sample: Sample, rng: np.random.Generator) -> Sample:
        size = self.config.input_size
        image = umbel.resize_image(sample.image, size)
        depth = cv2.resize(sample.target, (size[1], size[0]), interpolation=cv2.INTER_NEAREST)
        if rng.random() < self.options.hflip:
            image, depth = image[:, ::-1], depth[:, ::-1]
        return Sample(np.ascontiguousarray(image), np.ascontiguousarray(depth), sample.id, sample.size)

    def warp(self, target: np.ndarray, geometry: Geometry) -> np.ndarray:
        return geometry.warp_map(target, 0)

    def collate_targets(self, targets: Sequence[np.ndarray]) -> Tensor:
        return torch.from_numpy(np.stack(targets))

    def loss(self, output: Tensor, targets: Tensor) -> Losses:
        """Scale-invariant log loss (Eigen et al. 2014): mean(d^2) - balance * mean(d)^2 of an image's log errors d."""
        known = targets > 0
        error = torch.where(known, resized(output, targets.shape[-2:]) - targets.clamp(min=1e-3).log(), 0.0)
        count = known.sum((1, 2)).clamp(min=1)
        mean = error.sum((1, 2)) / count
        total = (error.square().sum((1, 2)) / count - self.options.balance * mean.square()).mean()
        return Losses(total, {"scale": mean.detach().abs().mean()})

    def views(self, size: Size) -> list[View]:
        tta, (height, width) = self.config.tta, self.config.input_size
        frames = [(s[0], s[1]) for s in tta.sizes] or [(round(height * s), round(width * s)) for s in tta.scales]
        return [View(umbel.round_up(frame, 32), flip) for frame in frames for flip in (False, True)[: 1 + tta.hflip]]

    def decode(self, output: Tensor, view: View) -> list[Tensor]:
        return list(resized(output, view.canvas or view.size)[:, : view.size[0], : view.size[1]].cpu())

    def restore(self, prediction: Tensor, view: View, size: Size) -> Tensor:
        return resized((prediction.flip(-1) if view.hflip else prediction)[None], size)[0]

    def merge(self, predictions: Iterable[Tensor]) -> Tensor:
        return torch.stack(list(predictions)).mean(0).exp()

    def metric(self) -> DepthMetric:
        return DepthMetric()

    def draw(self, image: np.ndarray, prediction: Any) -> np.ndarray:
        low, high = self.options.min_depth, self.options.max_depth
        near = 1 - np.log(np.asarray(prediction).clip(low, high) / low) / np.log(high / low)
        return cv2.applyColorMap((255 * near).astype(np.uint8), cv2.COLORMAP_TURBO)[..., ::-1].copy()

    def to_json(self, prediction: Tensor) -> dict[str, Any]:
        return {"size": list(prediction.shape), "quartiles": np.quantile(prediction.numpy(), np.arange(5) / 4).tolist()}
