"""Augmentation whose every draw is a function of seed, task, epoch and index: what it adds to loading on one core.

The same files go through the same albumentations pipeline at the paper's sizes: once as umbel's loader runs it, with
`apply_keyed` and a generator of its own for each sample, once with the randomness that albumentations has by itself.
All transforms are applied to every image, so that luck has no part in the cost.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import albumentations as A
import numpy as np
from loader import Epochs, Stored, paper_data, training_view
from measure import arguments, medians, ratio, side_by_side
from report import Claim, milliseconds, publish

from umbel import apply_keyed, keyed_generator
from umbel.contract.types import Sample, Size


def pipeline(size: Size) -> A.Compose:
    """Ten draws an image and more."""
    crop = A.RandomResizedCrop(size, scale=(0.4, 0.5), ratio=(0.9, 1.1), p=1)
    colours = A.ColorJitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1, p=1)
    return A.Compose([crop, A.HorizontalFlip(p=1), colours, A.GaussianBlur(blur_limit=(5, 5), p=1), A.Erasing(p=1)])


class Keyed:
    """Stands in for a task's `augment`."""

    def __init__(self, compose: A.Compose) -> None:
        self.compose = compose

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        return replace(sample, image=apply_keyed(self.compose, rng, {"image": sample.image})["image"])


def keying_seconds(size: Size, count: int) -> float:
    """What is done for a key alone, a sample: its generator, and handing it to the transforms."""
    compose = A.Compose(pipeline(size).transforms, p=0.0)  # draws whether to do anything, and does not
    image = np.zeros((8, 8, 3), np.uint8)

    def seconds(keyed: bool) -> float:
        started = time.perf_counter()
        for index in range(count):
            if keyed:
                apply_keyed(compose, keyed_generator(0, "it", "augment", 1, index), {"image": image})
            else:
                compose(image=image)
        return (time.perf_counter() - started) / count

    return max(0.0, min(seconds(True) for _ in range(3)) - min(seconds(False) for _ in range(3)))


def main() -> None:
    quick = arguments(__doc__).quick
    count = 2 if quick else 12
    rows, claims = [], []
    for kind, data, size in paper_data(quick, count):
        view, compose = training_view(kind, data, size), pipeline(size)
        view.task.augment = Keyed(pipeline(size))  # type: ignore[method-assign]

        def unkeyed(data: Stored = data, compose: A.Compose = compose, task: Any = view.task) -> None:
            for sample in (data[index] for index in range(len(data))):
                task.collate([replace(sample, image=compose(image=sample.image)["image"])])

        times = side_by_side({"keyed": Epochs(view, count), "unkeyed": unkeyed}, 1 if quick else 11)
        rows += [(f"{kind}, {name}", milliseconds(value / count)) for name, value in medians(times).items()]
        rows.append((f"{kind}, what is done for the key", f"{1000 * keying_seconds(size, 20 if quick else 1000):.3f}"))
        claims.append(Claim(f"{kind}: keyed / unkeyed", ratio(times, "keyed", "unkeyed"), 1.05))
    publish("keyed_augmentation", ("pipeline, one core", "ms an image"), rows, claims)


if __name__ == "__main__":
    main()
