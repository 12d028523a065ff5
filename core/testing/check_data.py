"""Checks of a task's options, samples, augmentation and batches."""

from __future__ import annotations

import copy
import dataclasses
import math
import os
from typing import Any

import numpy as np
import torch
from torch import Tensor

from umbel.contract.defaults import sources_of
from umbel.contract.options import option_docs
from umbel.contract.randomness import keyed_generator
from umbel.contract.types import Batch, Losses, Sample
from umbel.data.datasets import dataset_length
from umbel.testing.fault import expect
from umbel.testing.fixture import TaskFixture
from umbel.testing.isolation import global_randomness_untouched
from umbel.testing.same import difference

SPLITS = ("train", "val")


def check_options(options: type) -> None:
    """An Options class is a dataclass whose every field is documented."""
    expect(dataclasses.is_dataclass(options), f"{options.__name__} is not a dataclass: decorate it with @dataclass")
    silent = [name for name, doc in option_docs(options).items() if not doc.strip()]
    listed = ", ".join(silent)
    expect(
        not silent, f"{options.__name__} does not document {listed}: umbel.option(default, 'what it does, with units')"
    )


def check_samples(fixture: TaskFixture) -> None:
    """Both splits give whole, distinct samples, the same ones whenever they are read."""
    for split in SPLITS:
        with global_randomness_untouched(f"dataset('{split}')"):
            samples = fixture.samples(split)
        for sample in samples:
            _check_sample(sample, split)
        ids = [sample.id for sample in samples]
        expect(len(set(ids)) == len(ids), f"sample ids of '{split}' repeat: {ids}")
        again = fixture.new_task().dataset(split)
        expect(dataset_length(again) >= len(samples), f"dataset('{split}') has another length when it is made again")
        found = difference([again[index] for index in range(len(samples))], samples, path="sample")
        expect(
            not found,
            f"dataset('{split}') gives other samples when it is read again: {found}; randomness belongs in augment()",
        )


def check_sources(fixture: TaskFixture) -> bool:
    """Where a task names the sources of its samples, they are those of the samples; False where it names none."""
    for split in SPLITS:
        dataset, samples = fixture.task.dataset(split), fixture.samples(split)
        found = sources_of(fixture.task, dataset)
        if found is None:
            return False
        sources = list(found)
        length = dataset_length(dataset)
        expect(len(sources) == length, f"sources() names {len(sources)} for the {length} samples of '{split}'")
        pairs = [(source.id, sample.id) for source, sample in zip(sources, samples, strict=False)]
        others = [pair for pair in pairs if pair[0] != pair[1]]
        expect(not others, f"sources() of '{split}' calls samples otherwise than they are called: {others[:1]}")
        lost = [str(path) for source in sources[: len(samples)] for path in source.files if not os.path.exists(path)]
        expect(not lost, f"sources() of '{split}' names {', '.join(lost[:3])}, which is not there")
    return True


def _check_sample(sample: Any, split: str) -> None:
    what = f"a sample of '{split}'"
    expect(isinstance(sample, Sample), f"{what} is {type(sample).__name__}, not umbel.Sample")
    image = sample.image
    fits = isinstance(image, np.ndarray) and image.ndim == 3 and image.shape[2] == 3 and image.dtype == np.uint8
    found = f"{getattr(image, 'dtype', type(image).__name__)} {getattr(image, 'shape', '')}"
    expect(fits, f"the image of {what} is {found}, not (H, W, 3) uint8 RGB")
    expect(isinstance(sample.id, str) and bool(sample.id), f"the id of {what} is {sample.id!r}, not a name")
    shape = tuple(image.shape[:2])
    expect(
        tuple(sample.size) == shape, f"the size of {what} is {tuple(sample.size)}; its image is {shape} (height, width)"
    )


def check_augment(fixture: TaskFixture) -> None:
    """A training view is a pure function of sample and key, of the input size, and leaves the stored sample alone."""
    task, size = fixture.task, fixture.contract.input_size
    for sample in fixture.samples("train"):
        stored = copy.deepcopy(sample)
        with global_randomness_untouched("augment()"):
            views = [task.augment(sample, keyed_generator("augment", key)) for key in range(4)]
        found = difference(sample, stored, path="sample")
        expect(not found, f"augment() changes the stored sample in place: {found}")
        for view in views:
            expect(isinstance(view, Sample), f"augment() returns {type(view).__name__}, not umbel.Sample")
            shape = view.image.shape
            expect(
                shape == (*size, 3), f"augment() makes an image of {shape}, not {(*size, 3)} as config.input_size says"
            )
            expect(view.image.dtype == np.uint8, f"augment() makes {view.image.dtype} images, not uint8")
        again = task.augment(sample, keyed_generator("augment", 0))
        fresh = fixture.new_task().augment(copy.deepcopy(sample), keyed_generator("augment", 0))
        found = difference(again, views[0], path="sample") or difference(fresh, views[0], path="sample")
        expect(
            not found, f"augment() with the same key gives another sample: {found}; draw only from the rng handed in"
        )


def check_batch(fixture: TaskFixture) -> None:
    """Batches hold uint8 images and targets that core can move to a device."""
    batch = fixture.batch()
    count, size = fixture.contract.batch_size, fixture.contract.input_size
    expect(isinstance(batch, Batch), f"collate() returns {type(batch).__name__}, not umbel.Batch")
    shape = tuple(batch.images.shape)
    fits = shape == (count, 3, *size) and batch.images.dtype == torch.uint8
    expect(fits, f"batch images are {batch.images.dtype} {shape}, not uint8 {(count, 3, *size)}")
    expect(
        len(batch.ids) == len(batch.sizes) == count,
        f"a batch of {count} has {len(batch.ids)} ids and {len(batch.sizes)} sizes",
    )
    _check_movable(batch.targets, "targets")


def _check_movable(value: Any, path: str) -> None:
    """Core moves tensors inside dicts, lists and tuples; anything else with numbers would stay behind."""
    if isinstance(value, dict):
        for key, item in value.items():
            _check_movable(item, f"{path}[{key!r}]")
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            _check_movable(item, f"{path}[{index}]")
    else:
        movable = isinstance(value, (Tensor, str, int, float, bool, type(None)))
        expect(
            movable,
            f"{path} of a batch is {type(value).__name__}, which stays on the CPU: collate_targets() must make tensors",
        )


def check_losses(losses: Any) -> None:
    """A Losses with a finite scalar total that has a gradient, and scalar parts."""
    expect(isinstance(losses, Losses), f"loss() returns {type(losses).__name__}, not umbel.Losses")
    total = losses.total.detach() if isinstance(losses.total, Tensor) else losses.total
    expect(
        isinstance(total, Tensor) and total.ndim == 0,
        f"the total loss has shape {tuple(getattr(total, 'shape', ()))}, not that of a scalar",
    )
    expect(bool(torch.isfinite(total)), f"the total loss is {float(total)}")
    expect(losses.total.requires_grad, "the total loss has no gradient: it was detached, or made without the output")
    for name, part in losses.parts.items():
        scalar = isinstance(part, Tensor) and part.numel() == 1
        expect(scalar, f"part '{name}' of the losses is no scalar tensor")
        value = float(part.detach())
        expect(math.isfinite(value), f"part '{name}' of the losses is {value}")
