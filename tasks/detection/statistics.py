"""What a detection data set holds.

Legend: M objects of a split; sides are the shorter ones of their boxes, in pixels of the network input.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from umbel import Size, Statistic, View, class_balance, evenly_spaced, image_sizes
from umbel.tasks.detection.dataset import DetectionDataset

READ = 2000  # images at most, decoded only where the annotations do not state their size

BINS = (0, 8, 16, 32, 64, 128)  # pixels; the finest level has cells of 8

TINY_SHARE = 0.2  # of the objects, from which on it is a finding


def describe(
    dataset: DetectionDataset, class_names: Sequence[str], input_size: Size, views: Callable[[Size], Sequence[View]]
) -> list[Statistic]:
    """Objects of every class, their sizes as the network sees them at test time, images without any, image sizes.

    Args:
        dataset: the split.
        class_names: names by class index.
        input_size: height and width of the network input in training.
        views: test views of an image of some size; the first one is measured.
    """
    counts, sides, sizes, empty = np.zeros(len(class_names), np.int64), [], [], 0
    for index in evenly_spaced(len(dataset), READ):
        target, size = dataset.labels(index)
        sizes.append(size)
        solid = target.select(~target.crowd_N)
        empty += not len(solid.classes_N)
        counts += np.bincount(solid.classes_N, minlength=len(class_names))
        seen = views(size)[0].size
        scale = np.array([seen[1] / size[1], seen[0] / size[0]])
        sides += ((solid.boxes_N4[:, 2:] - solid.boxes_N4[:, :2]) * scale).min(axis=1).tolist()
    if not sizes:
        return []
    return [
        class_balance(f"classes in {len(sizes)} images", class_names, counts.tolist(), "objects"),
        _object_sizes(np.array(sides), empty, len(sizes)),
        image_sizes(sizes, input_size),
    ]


def _object_sizes(sides_M: np.ndarray, empty: int, images: int) -> Statistic:
    counts, _ = np.histogram(sides_M, [*BINS, np.inf])
    total = max(1, len(sides_M))
    labels = [f"{low} to {high}" for low, high in pairwise(BINS)] + [f"{BINS[-1]} and more"]
    rows = tuple((label, int(count), float(count / total)) for label, count in zip(labels, counts, strict=True))
    findings = []
    if len(sides_M) and counts[0] / total > TINY_SHARE:
        findings.append(
            f"{counts[0] / total:.0%} of the objects are below {BINS[1]} pixels at test time: a larger input_size or "
            "test_size lets the network see them"
        )
    if empty:
        findings.append(f"{empty} of {images} images have no object")
    return Statistic(
        "shorter side of objects at test time, in pixels", ("side", "objects", "share"), rows, tuple(findings)
    )
