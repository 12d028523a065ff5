"""Tasks that read their images from files and label each pixel with the red of the image: a label to follow by eye."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset
from toys import BrightTask

from umbel import DataError, Geometry, Sample, Source, TaskConfig, keyed_generator, option, read_image, write_image
from umbel.contract.source_config import SourceAugment, SourceConfig
from umbel.contract.task import Task
from umbel.data.datasets import load_datasets
from umbel.data.sources import SharedImages, open_sources

IGNORE = 255
SIZE = (16, 24)


@dataclass
class FileOptions:
    files: list[str] = option([], "the images")
    broken: list[str] = option([], "those whose label cannot be read")


class FileDataset(Dataset[Sample]):
    def __init__(self, options: FileOptions) -> None:
        self.options = options

    def __len__(self) -> int:
        return len(self.options.files)

    def __getitem__(self, index: int) -> Sample:
        path = Path(self.options.files[index])
        image = read_image(path)
        if str(path) in self.options.broken:
            raise DataError("has no label", where=f"{path.stem}.txt")
        target = image[..., 0].copy()
        image[:] = image  # may be written to
        return Sample(image, target, path.name, (image.shape[0], image.shape[1]))


class FileTask(BrightTask):
    Options = FileOptions  # type: ignore[assignment]

    def dataset(self, split: str) -> Dataset[Sample]:
        return FileDataset(self.options)  # type: ignore[arg-type]

    def sources(self, dataset: Any) -> Iterable[Source]:
        return [Source(Path(file).name, (file,)) for file in self.options.files]  # type: ignore[attr-defined]

    def augment(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """A random crop."""
        y, x = (int(rng.integers(stored - side + 1)) for stored, side in zip(sample.size, SIZE, strict=True))
        crop = np.s_[y : y + SIZE[0], x : x + SIZE[1]]
        return Sample(sample.image[crop], sample.target[crop], sample.id, sample.size)

    def warp(self, target: np.ndarray, geometry: Geometry) -> np.ndarray:
        return geometry.warp_map(target, IGNORE)

    def collate_targets(self, targets: Sequence[np.ndarray]) -> Tensor:
        return torch.from_numpy(np.stack(targets))


def write_images(folder: Path, names: Sequence[str], size: tuple[int, int] = (20, 26)) -> list[str]:
    """Images of noise, without loss; their red is never `IGNORE`."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_image(folder / name, keyed_generator(name).integers(0, 250, (*size, 3)).astype(np.uint8))
    return [str(folder / name) for name in names]


def file_task(
    name: str,
    files: Sequence[str],
    *,
    source: str | None = "all",
    batch: int = 4,
    workers: int = 0,
    kind: type[FileTask] = FileTask,
    broken: Sequence[str] = (),
    **windows: Any,
) -> FileTask:
    config = TaskConfig("file", batch, SIZE, workers, source, **windows)
    return kind(name, config, FileOptions(list(files), list(broken)))  # type: ignore[arg-type]


def sources_for(
    tasks: dict[str, Task[Any]], **augment: Any
) -> tuple[dict[str, Dataset[Sample]], dict[str, SharedImages]]:
    """The data of tasks, and their source "all"; colours stay as they are unless told otherwise."""
    still = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "scale": [0.6, 1.6], "rotation": 30.0}
    config = SourceConfig(SIZE, augment=SourceAugment(**{**still, **augment}))
    datasets = load_datasets(tasks, "train")
    return datasets, open_sources({"all": config}, tasks, datasets)
