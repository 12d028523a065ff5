"""A table of variants: what each scores and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch.utils.data import Dataset

from umbel.config.build import with_variant
from umbel.contract.task import Task
from umbel.contract.task_config import ORIGINAL, TtaConfig, TtaVariant
from umbel.contract.types import Sample, View
from umbel.data.datasets import dataset_length
from umbel.data.sample_errors import read_sample
from umbel.evaluate.evaluate import compute_scores
from umbel.evaluate.inference import image_tensor, size_of
from umbel.evaluate.tta_variants import decode_groups
from umbel.evaluate.tta_views import ImageViews, Member
from umbel.runtime.base import Inference


@dataclass(frozen=True, kw_only=True)
class Row:
    """One variant's line. What counts images is their mean.

    Args:
        name: of the variant.
        tta: of the variant.
        views: views an image.
        scores: by metric name.
        megapixels: 1e6 pixels of an image's views that the backbone sees, padding included.
        cost: those pixels relative to the plain single view.
        seconds: an image on its own: forward, decoding, restoring and merging.
    """

    name: str
    tta: TtaConfig
    views: float
    scores: dict[str, float]
    megapixels: float
    cost: float
    seconds: float


def evaluate_variants(
    runtime: Inference, task: Task[Any], variants: Sequence[TtaVariant], dataset: Dataset[Sample], limit: int | None
) -> list[Row]:
    """Evaluate variants of a task together: every view of an image is run once, whichever variants contain it.

    Args:
        runtime: gives the forward pass.
        task: as the recipe has it.
        variants: one row each.
        dataset: validation data.
        limit: only so many images, spread evenly: data is often sorted by class.

    Returns:
        The same scores as `evaluate` with each variant's `tta` and options.

    Raises:
        ConfigError: a variant changes an option that there is not, or to a wrong value.
    """
    tasks = [with_variant(task, variant) for variant in variants]
    plain = with_variant(task, TtaVariant(ORIGINAL))
    groups = decode_groups(tasks)
    metrics = [of_variant.metric() for of_variant in tasks]
    seconds, pixels, views = ([0.0] * len(tasks) for _ in range(3))
    plain_pixels = 0
    length = dataset_length(dataset)
    images = length if limit is None else min(limit, length)
    with runtime.eval_mode():
        for number in range(images):
            sample = read_sample(task, dataset, number * length // images)
            image = image_tensor(sample.image, runtime.device)
            size = size_of(image)
            members = [Member(*pair, pair[0].views(size)) for pair in zip(tasks, groups, strict=True)]
            shared = ImageViews(runtime, image, members)
            plain_pixels += pixels_of(plain.views(size))
            for row, member in enumerate(members):
                prediction, took = shared.merge(member)
                metrics[row].update([prediction], [sample.target])
                seconds[row] += took
                pixels[row] += pixels_of(member.views)
                views[row] += len(member.views)
    return [
        Row(
            name=variant.name,
            tta=variant.tta,
            views=views[row] / images,
            scores=compute_scores(task, metrics[row]),
            megapixels=pixels[row] / images / 1e6,
            cost=pixels[row] / plain_pixels,
            seconds=seconds[row] / images,
        )
        for row, variant in enumerate(variants)
    ]


def pixels_of(views: Sequence[View]) -> int:
    """Pixels of views, padding included."""
    canvases = [view.canvas or view.size for view in views]
    return sum(height * width for height, width in canvases)
