"""Training batches of images that several tasks label: each is decoded and varied once, and every label moved along."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from umbel.contract.collate import stack_images
from umbel.contract.errors import DataError, UmbelError
from umbel.contract.randomness import keyed_generator
from umbel.contract.task import Task
from umbel.contract.types import Batch, Sample, SampleKey
from umbel.data.bad_samples import CorruptSample, LoadedBatch, load_or_substitute
from umbel.data.color_jitter import ColourJitter
from umbel.data.join import JoinedImage
from umbel.data.nested import map_tensors, pinned
from umbel.data.sample_errors import read_sample, sample_errors
from umbel.data.source_geometry import draw_geometry
from umbel.data.sources import SharedImages
from umbel.io.decoded import decoded_once
from umbel.registry.calls.fault import of_samples

GREY = (128, 128, 128)  # 127.5, rounded

SharedSample = dict[str, Sample]  # one image, the labels there are of it, by task


@dataclass(frozen=True)
class LoadedSource:
    """The batches of the tasks of a source, whose `images` are one tensor.

    Args:
        batches: by task name; of a task without any label its batch is None.
        bad: the corrupt samples that were met.
    """

    batches: dict[str, Batch | None]
    bad: tuple[CorruptSample, ...] = ()

    def pin_memory(self) -> LoadedSource:
        """The same in pinned memory, the images once; a loader's thread calls it."""
        return LoadedSource(map_tensors(pinned, self.batches), self.bad)

    def of(self, names: Sequence[str]) -> dict[str, LoadedBatch]:
        """The batches of some tasks, the first of which tells of the corrupt samples."""
        return {
            name: LoadedBatch(self.batches[name], self.bad if position == 0 else ())
            for position, name in enumerate(names)
        }


class SourceView(Dataset[LoadedSource | UmbelError]):
    """The training images of a source as augmented batches, addressed by lists of sample keys.

    An UmbelError is returned, not raised: torch would re-raise it in the main process with its worker's traceback.

    Args:
        source: the images.
        tasks: of the run, by name.
        datasets: their training data by name.
        seed: run seed.
        substitute: an image or label that cannot be read gives way to another image, which the batch tells of.
    """

    def __init__(
        self,
        source: SharedImages,
        tasks: Mapping[str, Task[Any]],
        datasets: Mapping[str, Dataset[Sample]],
        seed: int,
        *,
        substitute: bool = False,
    ) -> None:
        self.source = source
        self.tasks = {name: tasks[name] for name in source.tasks}
        self.datasets = {name: datasets[name] for name in source.tasks}
        self.seed = seed
        self.substitute = substitute
        augment = source.config.augment
        self._jitter = ColourJitter(augment.brightness, augment.contrast, augment.saturation)
        self._reading = ("", 0)  # task and index of the sample that is being read

    def __getitem__(self, keys: list[SampleKey]) -> LoadedSource | UmbelError:
        bad: list[CorruptSample] = []
        try:
            samples = [self._load(key, bad) if self.substitute else self.sample(key) for key in keys]
            return LoadedSource(self._collate(samples), tuple(bad))
        except UmbelError as error:
            return error

    def sample(self, key: SampleKey) -> SharedSample:
        """One augmented image with its labels, a pure function of (seed, source, epoch, index)."""
        image = self.source.images[key.index]
        stored = self._read(image)
        rng = keyed_generator(self.seed, self.source.name, "augment", key.epoch, key.index)
        first = next(iter(stored.values())).image
        geometry = draw_geometry(self.source.config, (first.shape[0], first.shape[1]), rng)
        varied = self._jitter(geometry.warp_image(first, GREY), rng)
        labelled = {}
        for name, sample in stored.items():
            self._reading = (name, image.samples[name])
            with sample_errors(self.tasks[name], f"{image.samples[name]} ({sample.id})", "warp"):
                target = self.tasks[name].warp(sample.target, geometry)  # type: ignore[attr-defined]  # all have it
            labelled[name] = Sample(varied, target, sample.id, sample.size)
        return labelled

    def _read(self, image: JoinedImage) -> SharedSample:
        """The stored samples of an image, whose file is decoded once."""
        stored: SharedSample = {}
        with decoded_once():
            for name, index in image.samples.items():
                self._reading = (name, index)
                stored[name] = read_sample(self.tasks[name], self.datasets[name], index)
                first = next(iter(stored))
                size, expected = stored[name].image.shape[:2], stored[first].image.shape[:2]
                if size != expected:
                    raise DataError(
                        f"is {expected[1]} x {expected[0]} pixels in task '{first}', {size[1]} x {size[0]} in '{name}'",
                        where=str(image.file),
                        hint="tasks of a source label the same pixels: give one of them data of its own",
                        kind="size-mismatch",
                    )
        return stored

    def _load(self, key: SampleKey, bad: list[CorruptSample]) -> SharedSample:
        loaded: SharedSample = load_or_substitute(
            self.sample, seed=self.seed, task=self.source.name, key=key, length=len(self.source), bad=bad,
            blame=lambda _: self._reading,
        )  # fmt: skip
        return loaded

    def _collate(self, samples: Sequence[SharedSample]) -> dict[str, Batch | None]:
        images = stack_images([next(iter(sample.values())) for sample in samples])
        return {name: self._batch(name, images, samples) for name in self.tasks}

    def _batch(self, name: str, images: Tensor, samples: Sequence[SharedSample]) -> Batch | None:
        rows = [row for row, sample in enumerate(samples) if name in sample]
        if not rows:
            return None
        labelled = [samples[row][name] for row in rows]
        ids = tuple(sample.id for sample in labelled)
        with of_samples(ids):
            targets = self.tasks[name].collate_targets([sample.target for sample in labelled])
        sizes = tuple(sample.size for sample in labelled)
        return Batch(images, targets, ids, sizes, None if len(rows) == len(samples) else torch.tensor(rows))
