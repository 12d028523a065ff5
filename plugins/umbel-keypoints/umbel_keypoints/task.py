"""Named points of one object an image: a heat map a point, from COCO keypoint files.

Legend: B images, K points, h and w cells of the finest level. Points are x, y in continuous pixels, the image spans
0..W and 0..H, so that mirroring takes x to W - x.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset
from torchmetrics import Metric

import umbel
from umbel import DataError, FeatureSpec, Geometry, Losses, Sample, Size, Source, Task, View, option


@dataclass
class KeypointsOptions:
    root: str = option(doc="folder with annotations and images")
    images: str = option("{split}", "folder of images, under root; {split} stands for train or val")
    annotations: str = option("keypoints_{split}.json", "COCO keypoints of a split, under root")
    names: list[str] = option([], "names of the points, in the order of the file; [] takes the file's")
    sigma: float = option(1.0, "width of a training target in cells of the heat map")
    threshold: float = option(0.1, "a point is correct within this share of the object's diagonal")
    width: int = option(48, "channels of the decoder")
    hflip: float = option(0.5, "training: probability of a left-right flip; points named left and right trade places")
    jitter: float = option(0.2, "training: brightness factor in 1 +- this")

    def __post_init__(self) -> None:
        umbel.check_unique("names", self.names)
        umbel.check_range("sigma", self.sigma, 0.1, 100.0)
        umbel.check_range("threshold", self.threshold, 1e-3, 10.0)
        umbel.check_range("width", self.width, 1, 8192)
        for name in ("hflip", "jitter"):
            umbel.check_range(name, getattr(self, name), 0.0, 1.0)


@dataclass(frozen=True)
class Points:
    """Points of an object in the frame of an image.

    Args:
        points_K2: x and y, float32.
        scores_K: of a prediction, confidence; of a target, 1 for labelled points and 0 for others. float32.
        diagonal: of a target, the object's in pixels; 0 of a prediction.
    """

    points_K2: Tensor
    scores_K: Tensor
    diagonal: float = 0.0


def swaps(names: Sequence[str]) -> list[int]:
    """For every point, the one it becomes in a mirror: "left" and "right" in its name trade places."""
    mirrored = [name.replace("left", "\0").replace("right", "left").replace("\0", "right") for name in names]
    return [names.index(other) if other in names else index for index, other in enumerate(mirrored)]


def mirror(points: Points, width: float, order: Sequence[int]) -> Points:
    """The points of the mirrored image of this width."""
    flipped = torch.stack([width - points.points_K2[:, 0], points.points_K2[:, 1]], 1)
    return Points(flipped[list(order)], points.scores_K[list(order)], points.diagonal)


class KeypointImages(Dataset[Sample]):
    """Images with the points of their largest object; without an object, nothing is labelled."""

    def __init__(self, options: KeypointsOptions, split: str, count: int) -> None:
        root = Path(options.root)
        self.folder = root / options.images.replace("{split}", split)
        self.path = root / options.annotations.replace("{split}", split)
        self.count = count
        content = umbel.read_json(self.path)
        try:
            self.files = [str(image["file_name"]) for image in content["images"]]
            largest: dict[Any, dict[str, Any]] = {}
            for entry in sorted(content["annotations"], key=lambda entry: float(entry["area"])):
                largest[entry["image_id"]] = entry
            entries = [largest.get(image["id"]) for image in content["images"]]
            self.targets = [self._points(entry) for entry in entries]
        except (KeyError, TypeError, ValueError) as error:
            reason = f"is no COCO keypoints file: {type(error).__name__} {error}"
            raise DataError(reason, where=str(self.path)) from None

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Sample:
        image = umbel.read_image(umbel.resolve_under(self.folder, self.files[index], source=str(self.path)))
        return Sample(image, self.targets[index], self.files[index], (image.shape[0], image.shape[1]))

    def _points(self, entry: dict[str, Any] | None) -> Points:
        if entry is None:
            return Points(torch.zeros(self.count, 2), torch.zeros(self.count))
        if len(entry["keypoints"]) != 3 * self.count:
            raise ValueError(f"annotation {entry['id']} has {len(entry['keypoints'])} values, not 3 x {self.count}")
        rows = torch.tensor(entry["keypoints"], dtype=torch.float32).view(self.count, 3)
        _, _, width, height = (float(value) for value in entry["bbox"])
        return Points(rows[:, :2], (rows[:, 2] > 0).float(), max(1.0, float(np.hypot(width, height))))


class KeypointsHead(nn.Module):
    """Every level to one width, summed at the finest, two convolutions: (B, K, h, w) logits of where each point is."""

    def __init__(self, features: FeatureSpec, points: int, width: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(channels, width, 1) for channels in features.channels)
        self.mix = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.GroupNorm(1, width), nn.SiLU())
        self.out = nn.Conv2d(width, points, 3, padding=1)

    def forward(self, features: tuple[Tensor, ...]) -> Tensor:
        total = self.lateral[0](features[0])
        for lateral, level in zip(list(self.lateral)[1:], features[1:], strict=True):
            total = total + F.interpolate(lateral(level), size=total.shape[-2:], mode="bilinear", align_corners=False)
        out: Tensor = self.out(self.mix(total))
        return out


class KeypointsMetric(Metric):
    """pck, the share of labelled points found within `threshold` diagonals, and oks, exp(-d^2 / 2 threshold^2)."""

    values: list[Tensor]  # of an image: (P, 2), whether each labelled point is correct, and its similarity

    def __init__(self, threshold: float) -> None:
        super().__init__()
        self.threshold = threshold
        self.add_state("values", [], "cat")

    def update(self, predictions: Sequence[Points], targets: Sequence[Points]) -> None:
        for prediction, target in zip(predictions, targets, strict=True):
            labelled = target.scores_K > 0
            if labelled.any():
                away = (prediction.points_K2 - target.points_K2).double().norm(dim=1)[labelled] / target.diagonal
                similar = torch.exp(-away.square() / (2 * self.threshold**2))
                correct = (away <= self.threshold).double()
                self.values.append(torch.stack([correct, similar], 1))

    def compute(self) -> dict[str, Tensor]:
        pck, oks = torch.cat([torch.zeros(0, 2, dtype=torch.float64), *self.values]).mean(0)
        return {"pck": pck, "oks": oks}


class Keypoints(Task[KeypointsOptions]):
    Options = KeypointsOptions
    main_metric = "pck"

    @cached_property
    def names(self) -> list[str]:
        """Names of the points: the recipe's, else those of the training file's first category."""
        if self.options.names:
            return list(self.options.names)
        path = Path(self.options.root) / self.options.annotations.replace("{split}", "train")
        try:
            names = [str(name) for name in umbel.read_json(path)["categories"][0]["keypoints"]]
        except (KeyError, IndexError, TypeError):
            raise DataError("names no keypoints", where=f"{path}: categories", hint="or give names: [...]") from None
        return names

    def inferred_options(self) -> dict[str, Any]:
        return {"names": self.names}

    def dataset(self, split: str) -> KeypointImages:
        return KeypointImages(self.options, split, len(self.names))

    def sources(self, dataset: KeypointImages) -> Iterator[Source]:
        pairs = zip(dataset.files, dataset.targets, strict=True)
        return (Source(file, (dataset.folder / file,), target) for file, target in pairs)

    def head(self, features: FeatureSpec) -> KeypointsHead:
        return KeypointsHead(features, len(self.names), self.options.width)

    def augment(self, sample: Sample, rng: np.random.Generator) -> Sample:
        height, width = self.config.input_size
        image = umbel.resize_image(sample.image, (height, width))
        image = np.clip(image * rng.uniform(1 - self.options.jitter, 1 + self.options.jitter), 0, 255).astype(np.uint8)
        target = _scaled(sample.target, sample.size, (height, width))
        if rng.random() < self.options.hflip:
            image, target = np.ascontiguousarray(image[:, ::-1]), mirror(target, width, swaps(self.names))
        return Sample(image, target, sample.id, sample.size)

    def warp(self, target: Points, geometry: Geometry) -> Points:
        """Points that leave the view are not labelled in it; in a mirror, left and right trade places."""
        moved = torch.from_numpy(geometry.warp_points(target.points_K2.numpy()))
        inside = ((moved >= 0) & (moved < torch.tensor(geometry.size[::-1]))).all(1)
        order = swaps(self.names) if geometry.mirrored else list(range(len(self.names)))
        return Points(moved[order], (target.scores_K * inside)[order], target.diagonal * geometry.scale)

    def collate_targets(self, targets: Sequence[Points]) -> dict[str, Tensor]:
        """{"points": (B, K, 2) in pixels of the input, "labelled": (B, K)}."""
        points = torch.stack([target.points_K2 for target in targets])
        return {"points": points, "labelled": torch.stack([target.scores_K for target in targets])}

    def loss(self, output: Tensor, targets: dict[str, Tensor]) -> Losses:
        """Divergence of each labelled point's heat map from a Gaussian at the point, mean over points; 0 is best."""
        logits = output.float()
        height, width = logits.shape[-2:]
        size = self.config.input_size
        x = targets["points"][..., 0] * width / size[1] - 0.5
        y = targets["points"][..., 1] * height / size[0] - 0.5
        columns, rows = (torch.arange(n, device=logits.device, dtype=torch.float32) for n in (width, height))
        across = torch.exp(-((columns - x[..., None]) ** 2) / (2 * self.options.sigma**2))
        down = torch.exp(-((rows - y[..., None]) ** 2) / (2 * self.options.sigma**2))
        wanted = (down[..., :, None] * across[..., None, :]).flatten(2)
        wanted = wanted / wanted.sum(-1, keepdim=True).clamp(min=1e-6)
        apart = (wanted * (wanted.clamp(min=1e-12).log() - logits.flatten(2).log_softmax(-1))).sum(-1)
        labelled = targets["labelled"]
        total = (apart * labelled).sum() / labelled.sum().clamp(min=1)
        return Losses(total, {"points": total.detach()})

    def decode(self, output: Tensor, view: View) -> list[Points]:
        """The mean position of the 5 x 5 cells around each map's maximum, weighted by their probability."""
        logits = output.float()
        height, width = logits.shape[-2:]
        probabilities = logits.flatten(2).softmax(-1)
        best = probabilities.argmax(-1)
        cells = torch.arange(height * width, device=best.device)
        rows, columns = cells // width, cells % width
        near = (rows - rows[best][..., None]).abs().le(2) & (columns - columns[best][..., None]).abs().le(2)
        weights = probabilities * near
        weights = weights / weights.sum(-1, keepdim=True)
        frame = view.canvas or view.size
        x = ((weights * columns).sum(-1) + 0.5) * frame[1] / width
        y = ((weights * rows).sum(-1) + 0.5) * frame[0] / height
        found = torch.stack([x, y, (probabilities * near).sum(-1)], -1).cpu()  # one copy: each waits for the device
        return [Points(of_image[:, :2], of_image[:, 2]) for of_image in found]

    def views(self, size: Size) -> list[View]:
        tta, (height, width) = self.config.tta, self.config.input_size
        frames = [(s[0], s[1]) for s in tta.sizes] or [(round(height * s), round(width * s)) for s in tta.scales]
        flips = (False, True) if tta.hflip else (False,)
        return [View(umbel.round_up(frame, 32), flip) for frame in frames for flip in flips]

    def restore(self, prediction: Points, view: View, size: Size) -> Points:
        if view.hflip:
            prediction = mirror(prediction, view.size[1], swaps(self.names))
        return _scaled(prediction, view.size, size)

    def merge(self, predictions: Iterable[Points]) -> Points:
        """Mean position, each view weighted by its confidence in the point."""
        views = list(predictions)
        weights = torch.stack([view.scores_K for view in views]).clamp(min=1e-6)
        points = torch.stack([view.points_K2 for view in views])
        merged = (points * weights[..., None]).sum(0) / weights.sum(0)[..., None]
        return Points(merged, torch.stack([view.scores_K for view in views]).mean(0))

    def metric(self) -> KeypointsMetric:
        return KeypointsMetric(self.options.threshold)

    def draw(self, image: np.ndarray, prediction: Points) -> np.ndarray:
        picture = image.copy()
        colours = umbel.palette(len(self.names)).tolist()
        radius = max(2, min(image.shape[:2]) // 80)
        for (x, y), score, colour in zip(prediction.points_K2.tolist(), prediction.scores_K, colours, strict=True):
            if score > 0:
                cv2.circle(picture, (round(x), round(y)), radius, colour, -1, cv2.LINE_AA)
        return picture

    def to_json(self, prediction: Points) -> dict[str, Any]:
        """x, y and confidence of every point by name."""
        rows = zip(self.names, prediction.points_K2.tolist(), prediction.scores_K.tolist(), strict=True)
        return {name: [x, y, score] for name, (x, y), score in rows}


def _scaled(points: Points, old: Size, new: Size) -> Points:
    factor = torch.tensor([new[1] / old[1], new[0] / old[0]])
    return Points(points.points_K2 * factor, points.scores_K, points.diagonal)
