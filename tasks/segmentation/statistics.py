"""What a segmentation data set holds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from umbel import Size, Statistic, class_balance, evenly_spaced, image_sizes
from umbel.tasks.segmentation.dataset import SegmentationDataset

READ = 200  # images at most; their shares differ little from those of all


def describe(dataset: SegmentationDataset, class_names: Sequence[str], input_size: Size) -> list[Statistic]:
    """Pixels of every class, those without a class, and image sizes, from up to 200 images spread over a split.

    Args:
        dataset: the split.
        class_names: names by class id.
        input_size: height and width of training crops.
    """
    counts = np.zeros(256, np.int64)
    sizes = []
    for index in evenly_spaced(len(dataset), READ):
        sample = dataset[index]
        counts += np.bincount(sample.target.ravel(), minlength=256)
        sizes.append(sample.size)
    if not sizes:
        return []
    balance = class_balance(
        f"classes in {len(sizes)} images", class_names, counts[: len(class_names)].tolist(), "pixels"
    )
    unlabelled = 1 - counts[: len(class_names)].sum() / max(1, counts.sum())
    findings = balance.findings
    if unlabelled > 0.5:
        findings += (f"{unlabelled:.0%} of the pixels have no class",)
    rows = (*balance.rows, ("(unlabelled)", int(counts[len(class_names) :].sum()), float(unlabelled)))
    return [Statistic(balance.title, balance.columns, rows, findings), image_sizes(sizes, input_size)]
